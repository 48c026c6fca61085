/** A user who begins new connections without end, each of which is asked about, keeps nobody else's from being decided. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS, type LabHost } from '../../src/lab/world.ts';
import { Arrivals } from './support/arrivals.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { until } from './support/until.ts';

const SCRIPT = fileURLToPath(new URL('./support/ask-flood.py', import.meta.url));
const FLOODER = 61_441;
const OTHER = 61_442;
/** Of each family. */
const FLOWS = 50;

const host = (name: string): LabHost => {
  const found = INTERNET_HOSTS.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`the lab has no ${name}`);
  return found;
};
const FLOODED = host('tracker.example.org');
const WANTED = host('www.example.org');

let device: Device;
let daemon: Daemon;
let script: string;

class Sender implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  readonly #ended: Promise<unknown>;

  private constructor(command: readonly string[]) {
    const [file = '', ...args] = command;
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#ended = once(this.#child, 'close');
  }

  static async start(uid: number, python: string, args: readonly string[]): Promise<Sender> {
    const as = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', python, script, ...args];
    const sender = new Sender(device.inside(as));
    await sender.#line();
    return sender;
  }

  /** What became of it, as `sent=2` or `EPERM=1 sent=1`. */
  next(): Promise<string> {
    const line = this.#line();
    this.#child.stdin.write('\n');
    return line;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  async #line(): Promise<string> {
    const [line] = (await once(this.#lines, 'line')) as [string];
    return line;
  }
}

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('askflood');
  script = device.readableCopy(SCRIPT);
});
afterAll(async () => {
  await daemon?.stop();
  await device?.[Symbol.asyncDispose]();
});

describe('a user who asks about new flows without end', () => {
  it('keeps none of another user from arriving, and is refused what is beyond his share', async () => {
    const [flooding, wanted] = [device.copyOfPython('flooding'), device.copyOfPython('wanted')];
    device.writePolicy('org.example.Flooding', `exec: ${flooding}`, 'otherwise: allow');
    device.writePolicy('org.example.Wanted', `exec: ${wanted}`, 'otherwise: allow');
    // So that every new flow is asked about.
    daemon = await device.startDaemon({ wrap: (command) => ['env', 'POINTSMAN_WITHOUT=bpf', ...command] });
    await using arrivals = await Arrivals.start(device, {
      part: 'wifi',
      device: 'inside',
      to: [WANTED.v4, WANTED.v6],
    });
    await using flood = await Sender.start(FLOODER, flooding, ['flood', FLOODED.v4, FLOODED.v6]);
    await using other = await Sender.start(OTHER, wanted, ['once', '2000', WANTED.v4, WANTED.v6]);
    const outcomes: string[] = [];
    for (let i = 0; i < FLOWS; i += 1) outcomes.push(await other.next());
    expect(outcomes).toEqual(Array.from({ length: FLOWS }, () => 'sent=2'));
    let arrived = 0;
    await until('all flows of the other user to arrive', async () => {
      arrived += await arrivals.take();
      return arrived === 2 * FLOWS;
    });
    const flooded = await flood.next();
    expect(flooded).toMatch(/EPERM=\d+ sent=\d+/);
    await device.untilStatus('the warning', ({ warnings }) =>
      warnings.some(({ code, message }) => code === 'asked-share-full' && message.includes(`uid ${FLOODER}`)),
    );
  });
});
