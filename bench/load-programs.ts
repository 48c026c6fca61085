/** Compiles the load programs, which are in C so that what is measured is the kernel and not the load. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProgram } from './programs.ts';
import { makeScratchDir, removeScratchDir } from './scratch.ts';

/** Seen from dist/bench. */
const SOURCES = fileURLToPath(new URL('../../bench/load/', import.meta.url));
const PACKAGES = 'gcc libc6-dev libnetfilter-queue-dev pkg-config';

export interface LoadPrograms extends AsyncDisposable {
  readonly connect: string;
  readonly probe: string;
  readonly stream: string;
  readonly acceptClose: string;
  readonly acceptAll: string;
  readonly connectOnce: string;
  readonly firstConnect: string;
  readonly sustainedConnect: string;
  readonly udpFlood: string;
  readonly socketCost: string;
  readonly scriptStart: string;
  readonly changeOver: string;
  readonly hearEnded: string;
}

/** Into a directory of their own, which goes when they are disposed of. Throws where they cannot be compiled. */
export async function compileLoadPrograms(): Promise<LoadPrograms> {
  const dir = await makeScratchDir('load');
  const remove = (): Promise<void> => removeScratchDir(dir);
  try {
    const queueFlags = (await compilerTool(['pkg-config', '--cflags', '--libs', 'libnetfilter_queue']))
      .trim()
      .split(/\s+/);
    const compile = async (name: string, flags: readonly string[] = []): Promise<string> => {
      const program = join(dir, name);
      await compilerTool(['gcc', '-O2', '-Wall', '-Wextra', '-o', program, join(SOURCES, `${name}.c`), ...flags]);
      return program;
    };
    return {
      connect: await compile('connect'),
      probe: await compile('probe'),
      stream: await compile('stream'),
      acceptClose: await compile('accept-close'),
      acceptAll: await compile('accept-all', queueFlags),
      connectOnce: await compile('connect-once', ['-static']),
      firstConnect: await compile('first-connect'),
      sustainedConnect: await compile('sustained-connect'),
      udpFlood: await compile('udp-flood'),
      socketCost: await compile('socket-cost'),
      scriptStart: await compile('script-start'),
      changeOver: await compile('change-over'),
      hearEnded: await compile('hear-ended'),
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function compilerTool(command: readonly string[]): Promise<string> {
  const result = await runProgram(command).catch((error: unknown) => {
    throw new Error(`${command[0]} cannot be started; install ${PACKAGES}`, { cause: error });
  });
  if (result.status === 0) return result.stdout;
  throw new Error(`${command.join(' ')} failed; are ${PACKAGES} installed?\n${result.stderr.trim()}`);
}
