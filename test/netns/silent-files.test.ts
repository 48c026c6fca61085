/**
 * Files on a file system that never answers: a FUSE that takes every question. The daemon goes on: decisions, names, `status`, a
 * change-over; what cannot be looked at counts as not there, with a warning that says where it is named; and when it answers, it
 * is there.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device, PACKAGE_POLICIES, POLICIES } from './support/device.ts';
import { until } from './support/until.ts';

const SILENT_FUSE = fileURLToPath(new URL('support/silent-fuse.py', import.meta.url));
const OWN_MOUNTS = fileURLToPath(new URL('support/own-mounts.py', import.meta.url));
const SERVER = '203.0.113.10';
const OK = 0;
const REFUSED = 7;

/** enum fuse_opcode of linux/fuse.h. */
const FUSE_OPEN = 14;

let device: Device;
let daemon: Daemon | undefined;
let silent: SilentFiles;
/** More than there are threads to wait for. */
const MANY = 12;
let others: SilentFiles[] = [];
let place: string;

/** In the mount namespace of this machine: the daemon sees it, and it is gone with its program. */
class SilentFiles {
  readonly #child: ChildProcess;
  #output = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString();
    });
  }

  /** `content`: of the file `program`; what /usr/bin/python3 is unless stated. */
  static async mount(directory: string, content: readonly string[] = []): Promise<SilentFiles> {
    const args = [SILENT_FUSE, directory, ...content];
    const files = new SilentFiles(spawn('python3', args, { stdio: ['pipe', 'pipe', 'inherit'] }));
    await until('the mount', () => files.#output.includes('mounted'));
    return files;
  }

  get wasAsked(): boolean {
    return /^\d+$/m.test(this.#output);
  }

  /** Since it was last told how to be. */
  get wasAskedToOpen(): boolean {
    return new RegExp(`^${FUSE_OPEN}$`, 'm').test(this.#output);
  }

  async answer(): Promise<void> {
    this.#child.kill('SIGUSR1');
    await until('answers', () => this.#output.includes('answers'));
  }

  /** What a file is, and not what is in it. */
  async answerButContent(): Promise<void> {
    await this.#withhold('SIGHUP');
  }

  /** Nor does anybody come to have it open. */
  async answerButOpening(): Promise<void> {
    await this.#withhold('SIGWINCH');
  }

  async #withhold(signal: 'SIGHUP' | 'SIGWINCH'): Promise<void> {
    this.#output = '';
    this.#child.kill(signal);
    await until('answers but some', () => this.#output.includes('withholds'));
  }

  async beSilent(): Promise<void> {
    this.#child.kill('SIGUSR2');
    await until('silence', () => this.#output.includes('silent'));
  }

  async unmount(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await ended;
  }
}

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('silent');
  place = join(device.stateDir, 'silent');
  mkdirSync(place);
});
beforeEach(async () => {
  silent = await SilentFiles.mount(place);
  device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', 'otherwise: deny');
});
afterEach(async () => {
  // A thread that waits for it cannot be ended, and so neither can its process: everything else of the daemon ends by itself.
  const stopped = daemon?.ending === undefined ? daemon?.stop() : undefined;
  try {
    await until('all to be removed', async () => !existsSync(device.path('run/pointsman/pointsman.sock')));
  } finally {
    for (const files of [silent, ...others]) await files.unmount();
    others = [];
  }
  await stopped;
  daemon = undefined;
  rmSync(device.path(POLICIES), { recursive: true, force: true });
});
afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

const linkOf = (path: string): string => {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
};
const curl = async (): Promise<number> =>
  (await device.run(['curl', '-sS', '--max-time', '3', `http://${SERVER}/`])).exitCode;
const wget = async (host: string): Promise<string> =>
  (await device.run(['wget', '-qO-', '--tries=1', '--timeout=5', `http://${host}/`])).stdout.trim();
const WIFI = '192.168.10.2';
const CELLULAR = '10.20.30.2';

/** Everything that has to go on. */
async function expectItGoesOn(): Promise<void> {
  expect(await curl()).toBe(REFUSED);
  expect((await device.status()).state).toMatch(/enforcing|degraded/);
  device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', 'otherwise: allow');
  await until('the new policy', async () => (await curl()) === OK);
  device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', 'otherwise: deny');
  await until('the old policy', async () => (await curl()) === REFUSED);
}

/** Called as a named program is: each has to be asked about. */
async function expectOthersAreAskedAbout(): Promise<void> {
  const namesake = device.path('copies/curl');
  mkdirSync(device.path('copies'), { recursive: true });
  for (let i = 0; i < 3; i++) {
    cpSync('/usr/bin/curl', `${namesake}${i}`);
    renameSync(`${namesake}${i}`, namesake);
    const asked = await device.run([namesake, '-sS', '--max-time', '20', `http://${SERVER}/`]);
    expect(asked.exitCode, asked.stderr).toBe(OK);
  }
}

const hasOpen = ({ pid }: ChildProcess, file: string): boolean =>
  readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`).endsWith(file));

const tooSlow = (): Promise<string> =>
  until('the warning', async () => {
    const { warnings } = await device.status();
    return warnings.find(({ code }) => code === 'look-too-slow')?.message;
  });

describe('a policy that names a program on a file system that does not answer', () => {
  it('keeps nothing from going on, at the start, at a reload and at a change-over, and is told with its place', async () => {
    device.writePolicy('org.example.News', 'exec: /usr/bin/wget', 'via: { prefer: { name: wifi } }');
    device.write(
      `${POLICIES}/org.example.Far.yaml`,
      `pointsman: 1\napp: org.example.Far\nmatch:\n  - exec: ${place}/program\notherwise: deny\n`,
    );
    daemon = await device.startDaemon({});
    expect(silent.wasAsked).toBe(true);
    expect(await tooSlow()).toContain(
      `${place} does not answer; ${device.path(POLICIES)}/org.example.Far.yaml:4:5 names ${place}/program`,
    );
    await expectItGoesOn();
    expect((await device.pointsman('reload')).exitCode).toBe(0);
    expect(await wget(SERVER)).toBe(WIFI);
    await device.must('device', ['ip', 'link', 'set', 'wifi0', 'down']);
    await until('the other way', async () => (await wget(SERVER)) === CELLULAR);
    await device.must('device', ['ip', 'link', 'set', 'wifi0', 'up']);
    expect(await wget('www.example.org')).not.toBe('');
  });

  it('is in force as soon as it answers', async () => {
    daemon = await device.startDaemon({});
    device.writePolicy('org.example.Far', `exec: ${place}/program`, 'otherwise: deny');
    await tooSlow();
    await silent.answer();
    await device.untilStatus('that it answers', ({ warnings }) =>
      warnings.every(({ code }) => code !== 'look-too-slow'),
    );
  });
});

describe('other ways to a file system that does not answer', () => {
  it('keep nothing from going on: links to it, scripts on it, many paths of it', async () => {
    const link = join(device.stateDir, 'link');
    symlinkSync(join(place, 'bin'), link);
    daemon = await device.startDaemon({});
    const matches = [
      `exec: ${link}/program`,
      `script: ${place}/program`,
      ...Array.from({ length: 40 }, (_, i) => `exec: ${place}/dir${i}/program`),
    ];
    device.write(
      `${POLICIES}/org.example.Far.yaml`,
      `pointsman: 1\napp: org.example.Far\nmatch:\n${matches.map((each) => `  - ${each}\n`).join('')}otherwise: deny\n`,
    );
    await tooSlow();
    await expectItGoesOn();
    rmSync(link);
  });

  it('keep nothing from going on: a program that was started from it', async () => {
    await silent.answer();
    device.writePolicy('org.example.Far', `exec: ${place}/program`, 'otherwise: deny');
    daemon = await device.startDaemon({});
    const connect = `import sys, socket; print("ready", file=sys.stderr); sys.stdin.readline(); socket.create_connection(("${SERVER}", 80), 5)`;
    // All of it is in memory before it is silent.
    readFileSync(join(place, 'program'));
    const [file = '', ...args] = device.inside([join(place, 'program'), '-c', connect]);
    const program = spawn(file, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    let said = '';
    program.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    await until('the start', () => said.includes('ready'));
    expect(readlinkSync(`/proc/${program.pid}/exe`)).toBe(join(place, 'program'));
    await silent.beSilent();
    program.stdin.end('\n');
    await until('an answer', () => said.includes('Error'));
    expect(said).toContain('ConnectionRefusedError');
    await expectItGoesOn();
  });

  it('keep nothing from going on: what is left of a daemon that was killed while it waited', async () => {
    device.writePolicy('org.example.Far', `exec: ${place}/program`, 'otherwise: deny');
    const killed = await device.startDaemon({});
    await tooSlow();
    process.kill(killed.pid, 'SIGKILL');
    await until('that nobody listens', async () => (await device.pointsman('status')).exitCode !== 0);
    daemon = await device.startDaemon({});
    await expectItGoesOn();
  });

  it('keep nothing from going on: a directory of policies on it', async () => {
    daemon = await device.startDaemon({});
    rmSync(device.path('etc/pointsman/profiles'), { recursive: true, force: true });
    symlinkSync(place, device.path('etc/pointsman/profiles'));
    symlinkSync(join(place, 'policy.yaml'), device.path(`${POLICIES}/org.example.Far.yaml`));
    await tooSlow();
    await expectItGoesOn();
    const status = await device.untilStatus('both mistakes', ({ diagnostics }) => diagnostics.length >= 2);
    expect(status.diagnostics.map(({ message }) => message).join()).toContain('the file system does not answer');
    rmSync(device.path('etc/pointsman/profiles'));
  });

  it('keep nothing from going on: policies on more of them than can be waited for', async () => {
    const directories = Array.from({ length: MANY }, (_, i) => join(device.stateDir, `silent${i}`));
    for (const directory of directories) {
      mkdirSync(directory);
      others.push(await SilentFiles.mount(directory));
    }
    daemon = await device.startDaemon({});
    for (const [i, directory] of directories.entries())
      symlinkSync(join(directory, 'policy.yaml'), device.path(`${POLICIES}/org.example.Far${i}.yaml`));
    await device.untilStatus(
      'each to be told',
      ({ diagnostics }) =>
        diagnostics.filter(({ message }) => message.includes('the file system does not answer')).length === MANY,
    );
    await expectItGoesOn();
  });
});

describe('a file system that says what a file is, and not what is in it', () => {
  beforeEach(async () => {
    await silent.answerButContent();
  });

  it('keeps nothing from going on: a policy on it, whose application is blocked', async () => {
    symlinkSync(join(place, 'program'), device.path(`${POLICIES}/org.example.Far.yaml`));
    daemon = await device.startDaemon({});
    expect(await tooSlow()).toContain(`${place} does not answer`);
    const { diagnostics } = await device.status();
    expect(diagnostics.map(({ message }) => message).join()).toContain('the file system does not answer');
    await expectItGoesOn();
  });

  it('keeps nothing from going on: a program on it that a policy names, by whatever', async () => {
    device.write(
      `${POLICIES}/org.example.Far.yaml`,
      `pointsman: 1\napp: org.example.Far\nmatch:\n  - exec: ${place}/program\n  - script: ${place}/program\notherwise: deny\n`,
    );
    daemon = await device.startDaemon({});
    await expectItGoesOn();
  });

  it('keeps nothing from going on: the database of dpkg, and a directory of files', async () => {
    const database = device.path('var/lib/dpkg/status');
    mkdirSync(device.path('var/lib/dpkg'), { recursive: true });
    symlinkSync(join(place, 'program'), database);
    device.write(
      `${PACKAGE_POLICIES}/org.example.Packed.yaml`,
      'pointsman: 1\napp: org.example.Packed\nmatch: [{ exec: /usr/bin/true }]\n',
    );
    rmSync(device.path('etc/pointsman/profiles'), { recursive: true, force: true });
    symlinkSync(place, device.path('etc/pointsman/profiles'));
    daemon = await device.startDaemon({});
    expect(await tooSlow()).toContain(`${place} does not answer`);
    await expectItGoesOn();
    rmSync(device.path('etc/pointsman/profiles'));
    rmSync(database);
    device.remove(`${PACKAGE_POLICIES}/org.example.Packed.yaml`);
  });
});

describe('a script of a policy on a file system whose answers come from elsewhere', () => {
  const SCRIPT = `import socket\nsocket.create_connection(("${SERVER}", 80), 5).close()\nprint("through")\n`;
  const python = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
    device.run(['python3', '-I', ...args]);
  let far: string;
  beforeEach(async () => {
    far = join(device.stateDir, 'far');
    mkdirSync(far, { recursive: true });
    for (const name of ['near.py', 'other.py']) device.write(name, SCRIPT);
    others.push(await SilentFiles.mount(far, [device.path('near.py')]));
    device.writePolicy('org.example.Far', `script: ${far}/program`, 'otherwise: deny');
    device.writePolicy('org.example.Near', `script: ${device.path('near.py')}`, 'otherwise: deny');
  });

  async function expectScriptsAreTold(): Promise<void> {
    expect((await python(device.path('near.py'))).stderr).toContain('ConnectionRefusedError');
    expect((await python(device.path('other.py'))).stdout).toBe('through\n');
  }

  it('is told by its command line, like all scripts, and nothing else that is interpreted is held to its policy', async () => {
    await others[0]?.answer();
    daemon = await device.startDaemon({});
    const { warnings } = await device.status();
    expect(warnings.find(({ code }) => code === 'scripts-not-seen')?.message).toContain(`${far}/program`);
    expect((await python(join(far, 'program'))).stderr).toContain('ConnectionRefusedError');
    await expectScriptsAreTold();
    device.remove(`${POLICIES}/org.example.Far.yaml`);
    await device.untilStatus('that starts are seen again', (status) =>
      status.warnings.every(({ code }) => code !== 'scripts-not-seen'),
    );
    await expectScriptsAreTold();
  });

  it('is told also where an interpreter has a policy of its own', async () => {
    await others[0]?.answer();
    device.writePolicy('org.example.Python', `exec: ${realpathSync('/usr/bin/python3')}`, 'otherwise: allow');
    daemon = await device.startDaemon({});
    expect((await python(join(far, 'program'))).stderr).toContain('ConnectionRefusedError');
    await expectScriptsAreTold();
  });

  it.each(['open', 'read'] as const)('keeps nothing from going on where that lets nobody %s it', async (what) => {
    const [files] = others;
    await files?.answer();
    daemon = await device.startDaemon({});
    await (what === 'open' ? files?.answerButOpening() : files?.answerButContent());
    const opener = spawn('cat', [join(far, 'program')], { stdio: 'ignore' });
    try {
      await until('that it waits', () =>
        what === 'open' ? files?.wasAskedToOpen === true : hasOpen(opener, 'far/program'),
      );
      await expectOthersAreAskedAbout();
      await expectScriptsAreTold();
      await expectItGoesOn();
    } finally {
      opener.kill('SIGKILL');
    }
  });

  it('is no other where it is a layer of an overlay', async () => {
    const [files] = others;
    await files?.answer();
    const overlay = join(device.stateDir, 'overlay');
    const empty = join(device.stateDir, 'empty');
    for (const directory of [overlay, empty]) mkdirSync(directory, { recursive: true });
    execFileSync('mount', ['-t', 'overlay', '-o', `lowerdir=${far}:${empty}`, 'overlay', overlay]);
    let opener: ChildProcess | undefined;
    try {
      device.writePolicy('org.example.Far', `script: ${overlay}/program`, 'otherwise: deny');
      daemon = await device.startDaemon({});
      expect((await python(join(overlay, 'program'))).stderr).toContain('ConnectionRefusedError');
      await files?.answerButContent();
      opener = spawn('cat', [join(overlay, 'program')], { stdio: 'ignore' });
      await until('that it waits', () => opener !== undefined && hasOpen(opener, 'overlay/program'));
      await expectOthersAreAskedAbout();
      await expectScriptsAreTold();
      await expectItGoesOn();
      const { warnings } = await device.status();
      expect(warnings.find(({ code }) => code === 'scripts-not-seen')?.message).toContain(`${overlay}/program`);
    } finally {
      opener?.kill('SIGKILL');
      execFileSync('umount', ['--lazy', overlay]);
    }
  });
});

describe('a script of a policy on a machine whose files are an overlay', () => {
  it('is told when it starts where all layers of that answer by themselves', async () => {
    const at = (name: string): string => join(device.stateDir, 'layers', name);
    for (const name of ['lower', 'upper', 'work', 'overlay']) mkdirSync(at(name), { recursive: true });
    writeFileSync(join(at('lower'), 'script'), '#!/bin/sh\n', { mode: 0o755 });
    const layers = `lowerdir=${at('lower')},upperdir=${at('upper')},workdir=${at('work')}`;
    execFileSync('mount', ['-t', 'overlay', '-o', layers, 'overlay', at('overlay')]);
    try {
      device.writePolicy('org.example.Near', `script: ${at('overlay')}/script`, 'otherwise: deny');
      daemon = await device.startDaemon({});
      const { warnings } = await device.status();
      expect(warnings.map(({ code }) => code)).not.toContain('scripts-not-seen');
    } finally {
      execFileSync('umount', ['--lazy', at('overlay')]);
      rmSync(at(''), { recursive: true });
    }
  });
});

/** As anybody may have it: the kernel finds the interpreter as whoever starts the script sees it. */
describe('an interpreter on a file system of a user, in a mount namespace of his own', () => {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'unshare', '-Urm'];
  const cannot = (): string | undefined => {
    if (!existsSync('/dev/fuse')) return 'there is no /dev/fuse';
    const { status, stderr } = spawnSync(nobody[0] ?? '', [...nobody.slice(1), 'true'], { encoding: 'utf8' });
    return status === 0 ? undefined : `nobody can make a user namespace: ${stderr.trim()}`;
  };

  it('keeps nothing from going on where that lets nobody open it', async ({ skip }) => {
    const because = cannot();
    if (because !== undefined) skip(because);
    const own = mkdtempSync(join(tmpdir(), 'own-mounts-'));
    chmodSync(own, 0o755);
    mkdirSync(join(own, 'mounts'));
    chownSync(join(own, 'mounts'), 65_534, 65_534);
    for (const file of [OWN_MOUNTS, SILENT_FUSE]) cpSync(file, join(own, basename(file)));
    const script = join(own, 'script');
    writeFileSync(script, '#!/bin/sh\nexit 0\n');
    chmodSync(script, 0o755);
    device.writePolicy('org.example.Near', `script: ${script}`, 'otherwise: deny');
    daemon = await device.startDaemon({});
    expect((await device.status()).warnings.map(({ code }) => code)).not.toContain('scripts-not-seen');
    const args = [join(own, basename(SILENT_FUSE)), join(own, 'mounts'), script];
    const [command = '', ...rest] = [...nobody, 'python3', join(own, basename(OWN_MOUNTS)), ...args];
    const user = spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    let said = '';
    user.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const ended = new Promise((resolve) => user.once('exit', resolve));
    try {
      await until('the mounts', () => said.includes('ready'));
      user.stdin.write('\n');
      await until('the start', () => said.includes('opens'));
      await expectOthersAreAskedAbout();
      await expectItGoesOn();
      expect((await device.status()).warnings.map(({ code }) => code)).not.toContain('queue-not-served');
    } finally {
      user.stdin.end();
      await ended;
      rmSync(own, { recursive: true, force: true });
    }
  });
});
