/** Whoever holds connections to the control socket, and however: root is answered, and so is everybody else who may ask. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openClient } from '../../src/cli/client.ts';
import { CONNECTIONS_OF_USER } from '../../src/daemon/control-connections.ts';
import { labFiles } from '../../src/lab/lab-state.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device, POLICIES } from './support/device.ts';
import { until } from './support/until.ts';

/** Of the group pointsman, as the daemon here sees it. */
const OPERATORS = 61_335;
const OPERATOR = 61_336;
const OTHER_OPERATOR = 61_337;
const NOBODY = 65_534;
const OK = 0;
/** Of the command line: whatever else there is, it was answered. */
const DEGRADED = 7;
const KINDS = ['idle', 'half a request', 'half a body', 'watch', 'an unread answer', 'requests in a row'] as const;
const SCRIPT = fileURLToPath(new URL('./support/hold-control.py', import.meta.url));

type Kind = (typeof KINDS)[number];

let device: Device;
let daemon: Daemon;
let script: string;
let socketPath: string;

const asUser = (uid: number, gid: number, command: readonly string[]): readonly string[] => [
  ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
  ...command,
];

/** Connections that another program holds. */
class Held implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  readonly #ended: Promise<unknown>;

  private constructor(command: readonly string[]) {
    const [file = '', ...args] = command;
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#ended = once(this.#child, 'close');
  }

  static async start(uid: number, gid: number, kind: Kind, count: number): Promise<{ held: Held; opened: number }> {
    const held = new Held(asUser(uid, gid, ['/usr/bin/python3', script, socketPath, kind, String(count)]));
    return { held, opened: await held.#number() };
  }

  alive(): Promise<number> {
    const number = this.#number();
    this.#child.stdin.write('\n');
    return number;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }

  async #number(): Promise<number> {
    const [line] = (await once(this.#lines, 'line')) as [string];
    return Number(line);
  }
}

async function expectRootToBeAnswered(): Promise<void> {
  for (const command of [['status'], ['reload'], ['uplinks']]) {
    const { exitCode, stderr } = await device.pointsman(...command);
    expect({ command, exitCode, stderr }).toMatchObject({ command, exitCode: expect.toBeOneOf([OK, DEGRADED]) });
  }
  const watching = new AbortController();
  const heard: string[] = [];
  const watch = openClient(socketPath).lines('/v1/watch', (line) => heard.push(line), watching.signal);
  try {
    await until('a watcher to hear of a reload', async () => {
      device.write('new.yaml', `pointsman: 1\napp: org.example.New\nmatch: [{ exec: /usr/bin/${randomUUID()} }]\n`);
      renameSync(device.path('new.yaml'), device.path(`${POLICIES}/org.example.New.yaml`));
      await device.pointsman('reload');
      return heard.length > 0;
    });
  } finally {
    watching.abort();
    await watch;
  }
}

async function startDaemon(group: string): Promise<void> {
  const groups = join(device.stateDir, 'group');
  writeFileSync(groups, `root:x:0:\n${group}`);
  const wrap = (command: readonly string[]): readonly string[] => [
    ...['unshare', '--mount', '--', 'sh', '-c', 'mount --bind "$1" /etc/group && shift && exec "$@"', 'sh', groups],
    ...command,
  ];
  device.write(`${POLICIES}/none.txt`, '');
  daemon = await device.startDaemon({ wrap });
}

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('ctlshare');
  script = device.readableCopy(SCRIPT);
  ({ socket: socketPath } = labFiles(device.stateDir));
});
afterEach(async () => {
  if (daemon.ending === undefined) await daemon.stop();
});
afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

describe('the control socket', () => {
  it('is not for who has the group root alone, and he cannot hold it', async () => {
    await startDaemon('');
    const { held, opened } = await Held.start(NOBODY, 0, 'idle', 100);
    await using _ = held;
    await expectRootToBeAnswered();
    expect(opened).toBe(0);
    expect((await device.pointsman('down')).exitCode).toBe(0);
  });

  it.each(KINDS)('answers root and others while a member of the group holds what he can get: %s', async (kind) => {
    await startDaemon(`pointsman:x:${OPERATORS}:\n`);
    const { held, opened } = await Held.start(OPERATOR, OPERATORS, kind, 100);
    await using _ = held;
    expect(opened).toBeGreaterThan(0);
    await expectRootToBeAnswered();
    const other = asUser(OTHER_OPERATOR, OPERATORS, [...device.readableProgram(), 'status', '--root', device.rootDir]);
    expect(await device.run(other)).toMatchObject({
      exitCode: expect.toBeOneOf([OK, DEGRADED]),
      stderr: '',
    });
    expect(await held.alive()).toBeLessThanOrEqual(CONNECTIONS_OF_USER);
    const { warnings } = await device.status();
    const message = warnings.find(({ code }) => code === 'control-share-full')?.message ?? '';
    // Who asks for more while he is being answered has his connection ended for that.
    if (kind !== 'requests in a row') expect(message).toContain(`uid ${OPERATOR}`);
    if (kind !== 'watch') await until('idle connections to end', async () => (await held.alive()) === 0);
    expect((await device.pointsman('down')).exitCode).toBe(0);
  });
});
