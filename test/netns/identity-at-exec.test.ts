/**
 * Who runs is what it has been since it was started, not where a path leads now; and who starts is never nobody because its file has
 * just been replaced, linked or touched. The other end counts.
 */
import { type ChildProcess, type ExecFileException, execFile, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, realpathSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from './daemon/machine.ts';
import {
  type DaemonProcess,
  DEVICE,
  eventually,
  FIRST,
  NET,
  type Root,
  SECOND,
  SERVER4,
  SERVER6,
} from './daemon/world.ts';

const BASH = realpathSync('/bin/bash');
const PYTHON = realpathSync('/usr/bin/python3');
const DRIVER = join(import.meta.dirname, 'support/renewed-programs.py');
const SENDER = join(import.meta.dirname, 'support/running-sender.py');
const ROUNDS = 12;
const SENT = ROUNDS * 3;
const PORT = { denied: 81, cellular: 82, free: 83 } as const;
type Who = keyof typeof PORT;
const KINDS = [
  'renamed',
  'removed_first',
  'overwritten',
  'modes_changed',
  'touched',
  'linked_away',
  'linked_in',
  'file_link_switched',
  'directory_link_switched',
  'directory_link_switched_by_its_own_name',
  'directory_renamed',
  'while_it_changes',
] as const;
const isInCurrent = (kind: string): boolean => kind.startsWith('directory_');

interface Senders {
  readonly ask: () => Promise<readonly string[]>;
  readonly end: () => void;
}

/** A process that makes a new socket for each question, and says what came of it: the address that the server saw, or an error's name. */
class Sender {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(program: string, host: string) {
    const args = [`--net=/run/netns/${DEVICE}`, program, SENDER, host, '84'];
    this.#child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('no output');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async ask(): Promise<string> {
    this.#child.stdin?.write('\n');
    return `${(await this.#lines.next()).value}`;
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;

function countArrivals(): void {
  const pairs = ['n1', 'n2'].flatMap((device) => Object.values(PORT).map((port) => [device, port] as const));
  const rules = pairs.map(([device, port]) => `iifname "${device}" udp dport ${port} counter name ${device}_${port}`);
  const counters = pairs.map(([device, port]) => `counter ${device}_${port} {}`);
  const chain = `chain c {\ntype filter hook prerouting priority -400;\n${rules.join('\n')}\n}`;
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, 'nft', '-f', '-'], {
    input: `table inet arrivals {\n${counters.join('\n')}\n${chain}\n}\n`,
  });
}

/** By the first and by the second uplink, since it was asked last. */
function arrived(who: Who): readonly number[] {
  return ['n1', 'n2'].map((device) => {
    const counter = ['nft', '-j', 'reset', 'counter', 'inet', 'arrivals', `${device}_${PORT[who]}`];
    const text = execFileSync('nsenter', [`--net=/run/netns/${NET}`, ...counter], { encoding: 'utf8' });
    const { nftables } = JSON.parse(text) as {
      readonly nftables: readonly { readonly counter?: { readonly packets: number } }[];
    };
    return nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
  });
}

const directoryOf = (who: Who, kind: string): string => join(root.dir, 'bin', `${who}-${kind}`);

function drive(who: Who, kind: string, host: string): Promise<string> {
  const args = [kind, directoryOf(who, kind), host, `${PORT[who]}`, `${ROUNDS}`];
  return new Promise((resolve, reject) => {
    execFile(
      'nsenter',
      [`--net=/run/netns/${DEVICE}`, '/usr/bin/python3', DRIVER, ...args],
      (error: ExecFileException | null, text) => (error === null ? resolve(text.trim()) : reject(error)),
    );
  });
}

function install(who: Who, kind: string): string {
  const directory = directoryOf(who, kind);
  mkdirSync(directory, { recursive: true });
  copyFileSync(BASH, join(directory, 'source'));
  const isLink = kind.startsWith('file_link');
  const file = join(directory, isLink ? 'real' : isInCurrent(kind) ? 'version/app' : 'app');
  mkdirSync(join(file, '..'), { recursive: true });
  copyFileSync(BASH, file);
  if (isLink) symlinkSync('real', join(directory, 'app'));
  if (kind === 'directory_renamed') renameSync(join(directory, 'version'), join(directory, 'current'));
  else if (isInCurrent(kind)) symlinkSync('version', join(directory, 'current'));
  return join(directory, isInCurrent(kind) ? 'current/app' : 'app');
}

const CLIENT = join(import.meta.dirname, 'daemon/client.py');
const NETWORK = 'via: { require: { type: cellular }, else: block }\notherwise: allow\n';
/** Programs of two versions, of which `current` is a link to one. */
const versioned = (app: string, version: string): string => join(root.dir, 'versions', app, version);

function installVersions(app: string, body: string): void {
  for (const version of ['v1', 'v2']) {
    mkdirSync(versioned(app, version), { recursive: true });
    copyFileSync(PYTHON, join(versioned(app, version), 'app'));
  }
  symlinkSync('v1', versioned(app, 'current'));
  root.policy(app, body, versioned(app, 'current/app'));
}

function switchTo(app: string, version: string): void {
  symlinkSync(version, versioned(app, 'next'));
  renameSync(versioned(app, 'next'), versioned(app, 'current'));
}

/** What a new process of that very version is told: by the server, or by the kernel. */
const start = (app: string, version: string, host: string): Promise<string> =>
  startFile(join(versioned(app, version), 'app'), host);

const startFile = (file: string, host: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const command = [file, CLIENT, 'udp', host, '84'];
    execFile('nsenter', [`--net=/run/netns/${DEVICE}`, ...command], (error, text) =>
      error === null ? resolve(text.trim()) : reject(error),
    );
  });

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  countArrivals();
  for (const kind of KINDS) {
    root.policy(`denied-${kind}`, 'otherwise: deny\n', install('denied', kind));
    root.policy(`cellular-${kind}`, NETWORK, install('cellular', kind));
    install('free', kind);
  }
  installVersions('running-denied', 'otherwise: deny\n');
  installVersions('running-cellular', NETWORK);
  installVersions('running-allowed', 'otherwise: allow\n');
  daemon = await machine.startDaemon(['--keep']);
});

afterAll(() => machine?.[Symbol.asyncDispose]());

describe.each([SERVER4, SERVER6])('a new start, to %s', (host) => {
  it.each(KINDS)('is what policies name: %s', async (kind) => {
    for (const who of ['denied', 'cellular', 'free'] as const) expect(await drive(who, kind, host)).toBe(`${SENT}`);
    const counts = { denied: arrived('denied'), cellular: arrived('cellular'), free: arrived('free') };
    expect(counts).toEqual({
      denied: [0, 0],
      cellular: [0, SENT],
      free: [SENT, 0],
    });
  });
});

describe('a file that comes to a named path without being touched', () => {
  it('is the application by its own name, too, and after a directory was renamed, as soon as the daemon has heard of it', async () => {
    const directory = join(root.dir, 'bin', 'told');
    mkdirSync(join(directory, 'v1'), { recursive: true });
    mkdirSync(join(directory, 'v2'));
    for (const name of ['one', 'two', 'v1/app', 'v2/app']) copyFileSync(PYTHON, join(directory, name));
    symlinkSync('one', join(directory, 'link'));
    root.policy('told', 'otherwise: deny\n', join(directory, 'link'));
    root.policy('renamed', 'otherwise: deny\n', join(directory, 'v1/app'));
    await daemon.reload();
    const answer = (name: string): Promise<string> => startFile(join(directory, name), SERVER4);
    // Nobody's, and known as that.
    for (const name of ['two', 'v2/app', 'v2/app']) expect(await answer(name)).toBe(FIRST.v4);
    const beganMs = performance.now();
    symlinkSync('two', join(directory, 'next'));
    renameSync(join(directory, 'next'), join(directory, 'link'));
    renameSync(join(directory, 'v1'), join(directory, 'v0'));
    renameSync(join(directory, 'v2'), join(directory, 'v1'));
    for (const name of ['two', 'v1/app'])
      await eventually(
        () => answer(name),
        (text) => /^E[A-Z]+$/.test(text),
      );
    console.log(`refused ${Math.round(performance.now() - beganMs)} ms after the first change (printed, not judged)`);
    root.write('etc/pointsman/policies/told.yaml', 'mask: true\n');
    root.write('etc/pointsman/policies/renamed.yaml', 'mask: true\n');
    await daemon.reload();
  });
});

describe.each([
  [SERVER4, 'v4'],
  [SERVER6, 'v6'],
] as const)('a running program, to %s', (host, family) => {
  /** Answers of new sockets of processes that run. */
  const running = async (): Promise<Senders> => {
    const names = ['running-denied', 'running-cellular', 'running-allowed'];
    const senders = names.map((app) => new Sender(join(versioned(app, 'current'), 'app'), host));
    return { ask: () => Promise.all(senders.map((sender) => sender.ask())), end: () => senders.map((s) => s.end()) };
  };
  const asItIs = ['EPERM', SECOND[family], FIRST[family]];

  it.each(['a reload', 'a restart after kill -9'])(
    'is what it was when it was started, over a switched link and %s',
    async (what) => {
      const before = await running();
      try {
        expect(await before.ask()).toEqual(asItIs);
        for (const app of ['running-denied', 'running-cellular', 'running-allowed']) switchTo(app, 'v2');
        expect(await before.ask()).toEqual(asItIs);
        if (what === 'a reload') await daemon.reload();
        else {
          await daemon.signal('SIGKILL');
          expect(await before.ask()).toEqual(asItIs);
          daemon = await machine.startDaemon(['--keep']);
        }
        for (let turn = 0; turn < 8; turn += 1) expect(await before.ask()).toEqual(asItIs);
        // The stricter of what it was and what it is, which is nobody's.
        for (const version of ['v1', 'v2']) expect(await start('running-denied', version, host)).toMatch(/^E[A-Z]+$/);
        expect(await start('running-cellular', 'v2', host)).toBe(SECOND[family]);
        expect(await start('running-allowed', 'v1', host)).toBe(FIRST[family]);
      } finally {
        before.end();
        for (const app of ['running-denied', 'running-cellular', 'running-allowed']) switchTo(app, 'v1');
        await daemon.reload();
      }
    },
  );
});
