/** One daemon a network namespace. */

import { createServer, type Server } from 'node:net';
import type { Background } from '../kernel/background.ts';
import { holderOfName, INSTANCE_NAME } from '../kernel/instance-name.ts';

export type InstanceLock = AsyncDisposable &
  (
    | { readonly kind: 'held' }
    | { readonly kind: 'taken'; readonly pid: number }
    /** Somebody who may not run the daemon has the name: no daemon runs. */
    | { readonly kind: 'squatted'; readonly pid: number; readonly uid: number }
  );

export async function takeInstanceLock(background: Background, name: string = INSTANCE_NAME): Promise<InstanceLock> {
  const server = createServer((socket) => socket.destroy());
  if (await listens(server, name)) {
    // Only that it is there counts: whoever could not be taken has nothing to say.
    server.on('error', background.hear);
    server.unref();
    return { kind: 'held', [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
  }
  const holder = await holderOfName(name);
  // It has just gone: once more, and then it is somebody's who keeps coming and going.
  if (holder === undefined) return await takeInstanceLock(background, name);
  const { pid, uid } = holder;
  return {
    ...(uid === 0 ? { kind: 'taken', pid } : { kind: 'squatted', pid, uid }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function listens(server: Server, name: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    server.listen(name, () => resolve(true));
  });
}
