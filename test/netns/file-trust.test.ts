/** Files that others can change are not read, whoever asks for their being read; and nobody is shown what he may not read. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Status } from '../../src/api/status.ts';
import { buildProgram, POINTSMAN } from './support/build-program.ts';
import { Daemon } from './support/daemon.ts';
import { Device, PACKAGE_POLICIES, POLICIES } from './support/device.ts';
import { until } from './support/until.ts';

const SERVER = '203.0.113.10';
const OK = 0;
const REFUSED = 7;
/** Of the command line. */
const DEGRADED = 7;
const SECRET = 'root:$y$j9T$aVerySecretHash:19000:0:99999:7:::';
const INTRUDER = 61_234;
/** Of the group pointsman, as the daemon here sees it. */
const OPERATORS = 61_235;
const OPERATOR = 61_236;

let device: Device;
let daemon: Daemon | undefined;
let shadow: string;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('trust');
  shadow = join(device.stateDir, 'shadow');
  writeFileSync(shadow, `${SECRET}\n`, { mode: 0o600 });
});
afterEach(async () => {
  if (daemon?.ending === undefined) await daemon?.stop();
  daemon = undefined;
  rmSync(device.path(POLICIES), { recursive: true, force: true });
});
afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

const curl = async (): Promise<number> =>
  (await device.run(['curl', '-sS', '--max-time', '10', `http://${SERVER}/`])).exitCode;
const asUser = (uid: number, gid: number, command: readonly string[]): readonly string[] => [
  ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
  ...command,
];
const plant = (target: string, name: string): Buffer => {
  const [file = '', ...args] = asUser(INTRUDER, INTRUDER, ['ln', '-s', target, device.path(`${POLICIES}/${name}`)]);
  return execFileSync(file, args);
};
const codes = ({ diagnostics }: Status): string[] => diagnostics.map(({ code }) => code);
/** Everything that is said to root, in every form. */
const said = async (): Promise<string> => {
  const texts = await Promise.all([
    device.pointsman('status'),
    device.pointsman('status', '--json'),
    device.pointsman('reload'),
    device.pointsman('apps'),
    device.pointsman('check'),
  ]);
  return [...texts.map(({ stdout, stderr }) => stdout + stderr), daemon?.output].join('\n');
};

describe('a directory that others can change', () => {
  it('has nothing read through it: neither a planted link nor a planted policy, and no denial is lifted', async () => {
    device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', 'otherwise: deny');
    daemon = await device.startDaemon({});
    expect(await curl()).toBe(REFUSED);

    chownSync(device.path(POLICIES), 0, INTRUDER);
    chmodSync(device.path(POLICIES), 0o775);
    plant(shadow, 'shadow.yaml');
    execFileSync('setpriv', [
      ...[`--reuid=${INTRUDER}`, `--regid=${INTRUDER}`, '--clear-groups', 'rm', '-f'],
      device.path(`${POLICIES}/org.example.Browser.yaml`),
    ]);
    const status = await device.untilStatus('the refusal', (now) => codes(now).includes('file-not-trusted'));
    const [refusal] = status.diagnostics;
    expect(refusal?.message).toContain(`group ${INTRUDER} can change ${device.path(POLICIES)}`);
    expect(await said()).not.toContain('aVerySecretHash');
    expect(await curl()).toBe(REFUSED);

    // The same after a restart: the copies are what is believed.
    await daemon.stop();
    daemon = await device.startDaemon({});
    expect(await curl()).toBe(REFUSED);
    expect(await said()).not.toContain('aVerySecretHash');

    chmodSync(device.path(POLICIES), 0o755);
    rmSync(device.path(`${POLICIES}/shadow.yaml`));
    await device.untilStatus('that it is mended', (now) => now.diagnostics.length === 0);
    expect(await curl()).toBe(OK);
  });

  it('has no link followed that leads out of it to what others can change, while links to what root has are', async () => {
    mkdirSync(device.path(POLICIES), { recursive: true });
    const theirs = join(device.stateDir, 'theirs');
    mkdirSync(theirs, { recursive: true });
    writeFileSync(join(theirs, 'a.yaml'), 'pointsman: 1\napp: a\nmatch: [{exec: /usr/bin/curl}]\notherwise: deny\n');
    symlinkSync(join(theirs, 'a.yaml'), device.path(`${POLICIES}/a.yaml`));
    daemon = await device.startDaemon({});
    expect(await curl()).toBe(REFUSED);
    chownSync(theirs, INTRUDER, INTRUDER);
    writeFileSync(join(theirs, 'a.yaml'), 'pointsman: 1\napp: a\nmatch: [{exec: /usr/bin/curl}]\notherwise: allow\n');
    await device.pointsman('reload');
    expect(codes(await device.status())).toContain('file-not-trusted');
    expect(await curl()).toBe(REFUSED);
    rmSync(theirs, { recursive: true });
  });
});

describe('the text of a file', () => {
  it('is shown to root and to who may read the file, and not to other members of the group pointsman', async () => {
    mkdirSync(device.path(POLICIES), { recursive: true });
    symlinkSync(shadow, device.path(`${POLICIES}/link.yaml`));
    device.write(`${POLICIES}/public.yaml`, 'pointsman: 1\napp: public\notherwise: perhaps\n');
    const group = join(device.stateDir, 'group');
    writeFileSync(group, `root:x:0:\npointsman:x:${OPERATORS}:\n`);
    daemon = await device.startDaemon({
      wrap: (command) => [
        ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c'],
        'mount --bind "$1" /etc/group; shift; exec "$@"',
        ...['sh', group, ...command],
      ],
    });
    const operator = asUser(OPERATOR, OPERATORS, [...POINTSMAN, 'status', '--root', device.rootDir]);
    const [forRoot, forOperator, asJson] = await Promise.all([
      device.pointsman('status'),
      device.run(operator),
      device.run([...operator, '--json']),
    ]);
    expect(forRoot.stdout).toContain('aVerySecretHash');
    expect(forOperator.stdout).toContain(`${POLICIES}/link.yaml:1:`);
    expect(forOperator.stdout + asJson.stdout).not.toContain('aVerySecretHash');
    expect(forOperator.stdout).toContain('otherwise: perhaps');
    const reload = await device.run(asUser(OPERATOR, OPERATORS, [...POINTSMAN, 'reload', '--root', device.rootDir]));
    expect(reload.stdout + reload.stderr).not.toContain('aVerySecretHash');
    expect(existsSync(dirname(shadow))).toBe(true);
  });
});

describe('a file that a crash emptied', () => {
  it('keeps what it said in force, also after a restart, and makes the daemon degraded for everybody who looks', async () => {
    device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', 'otherwise: deny');
    daemon = await device.startDaemon({});
    expect((await device.pointsman('status')).exitCode).toBe(0);
    const watching = Daemon.spawn(device.inside([...POINTSMAN, 'watch', '--root', device.rootDir]));
    const emptied = device.path(`${POLICIES}/org.example.Browser.yaml`);
    await until('an event of the broken file', async () => {
      // A watcher is told of what happens, not of what holds: again, until it is there.
      device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', 'otherwise: deny');
      await device.untilStatus('the good file', ({ state }) => state === 'enforcing');
      writeFileSync(emptied, '');
      await device.untilStatus('the emptied file', ({ state }) => state === 'degraded');
      return watching.output.includes('[files-broken]');
    });
    await watching.stop();
    for (const when of ['at once', 'after a restart']) {
      const status = await device.untilStatus(when, ({ state }) => state === 'degraded');
      expect(codes(status)).toEqual(['empty-file']);
      expect(status.warnings.map(({ code }) => code)).toContain('files-broken');
      const shown = await device.pointsman('status');
      expect([shown.exitCode, shown.stdout.split('\n')[0]]).toEqual([DEGRADED, expect.stringContaining('degraded')]);
      expect((await device.pointsman('metrics')).stdout).toContain('pointsman_file_mistakes{severity="error"} 1');
      const lines = daemon.output
        .split('\n')
        .filter((line) => line.includes('error: ') && line.includes('[empty-file]'));
      expect(new Set(lines).size).toBe(1);
      expect(await curl()).toBe(REFUSED);
      await daemon.stop();
      daemon = await device.startDaemon({});
    }
    writeFileSync(emptied, 'mask: true\n');
    await device.untilStatus('the mask', ({ state }) => state === 'enforcing');
    expect(await curl()).toBe(OK);
  });

  it('is listed at the first start after an upgrade, where it was a mask before, and blocks its application', async () => {
    device.write(
      `${PACKAGE_POLICIES}/org.example.Browser.yaml`,
      'pointsman: 1\napp: org.example.Browser\nmatch: [{exec: /usr/bin/curl}]\n',
    );
    device.write(`${POLICIES}/org.example.Browser.yaml`, '');
    const copies = device.path('var/lib/pointsman/last-good');
    rmSync(copies, { recursive: true, force: true });
    mkdirSync(join(copies, 'package'), { recursive: true });
    daemon = await device.startDaemon({});
    const hint = `${POLICIES}/org.example.Browser.yaml has no content: versions before this one took that for a mask`;
    await until('the list', () => daemon?.output.includes(hint));
    expect(await curl()).toBe(REFUSED);
    await daemon.stop();
    daemon = await device.startDaemon({});
    expect(daemon.output).not.toContain(hint);
    device.remove(PACKAGE_POLICIES);
  });
});
