/** An application's package ships a policy file; nothing else is needed for the daemon to enforce and to forget it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device, PACKAGE_POLICIES, POLICIES } from './support/device.ts';
import { until } from './support/until.ts';

const REFUSED = 7;
const OK = 0;

let device: Device;
let daemon: Daemon;
const scratch = mkdtempSync(join(tmpdir(), 'package-'));

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('package');
  daemon = await device.startDaemon();
});

afterAll(async () => {
  await daemon?.stop();
  await device?.[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true });
});

const POLICY = `pointsman: 1
app: org.example.Browser
match:
  - exec: /usr/bin/curl
rules:
  - to: 203.0.113.40
    do: deny
otherwise: allow
`;

const SHIPPED = `${PACKAGE_POLICIES}/org.example.Browser.yaml`;
/** A policy holds for programs of its own package. */
const PROGRAM = { 'usr/bin/curl': 'stands for the one that the machine runs' };

/** Builds browser_1.0_all.deb around these files. */
function buildPackage(files: Readonly<Record<string, string>>): string {
  const tree = join(scratch, 'tree');
  const control =
    'Package: browser\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: browses\n';
  for (const [path, text] of Object.entries({ ...files, 'DEBIAN/control': control })) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  const archive = join(scratch, 'browser_1.0_all.deb');
  run('dpkg-deb', ['--root-owner-group', '--build', tree, archive]);
  return archive;
}

/** With the database in the daemon's root: the host's is never opened. */
function dpkg(...action: readonly string[]): void {
  const database = device.path('var/lib/dpkg');
  mkdirSync(join(database, 'info'), { recursive: true });
  mkdirSync(join(database, 'updates'), { recursive: true });
  writeFileSync(join(database, 'status'), '', { flag: 'a' });
  const options = [`--root=${device.rootDir}`, `--log=${join(scratch, 'dpkg.log')}`];
  run('dpkg', [...options, '--force-not-root', '--force-script-chrootless', '--force-bad-path', ...action]);
}

function run(command: string, args: readonly string[]): void {
  execFileSync(command, args, { stdio: 'pipe', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' } });
}

const curl = async (address: string): Promise<number> =>
  (await device.run(['curl', '-sS', '--max-time', '10', `http://${address}/`])).exitCode;
const isKnown = async (): Promise<boolean> =>
  (await device.status()).apps.some(({ app }) => app === 'org.example.Browser');

describe('a package that ships a policy', () => {
  it('pointsman enforces it as soon as dpkg has installed it, and forgets it with the package', async () => {
    expect(await curl('203.0.113.40')).toBe(OK);

    dpkg('--install', buildPackage({ [SHIPPED]: POLICY, ...PROGRAM }));
    await until('curl to be refused', async () => (await curl('203.0.113.40')) === REFUSED);
    await until('curl to be let through elsewhere', async () => (await curl('203.0.113.10')) === OK);
    const explained = await device.explain({ exe: '/usr/bin/curl', host: '203.0.113.40', port: 80, protocol: 'tcp' });
    expect(JSON.stringify(explained)).toContain(`${device.path(PACKAGE_POLICIES)}/org.example.Browser.yaml`);
    expect((await device.status()).diagnostics).toEqual([]);

    dpkg('--remove', 'browser');
    await until('curl to get through again', async () => (await curl('203.0.113.40')) === OK);
    await until('the application to be forgotten', async () => !(await isKnown()));
  });

  it('pointsman lets it open nothing that the administrator has closed, and speak for no program of others', async () => {
    const address = 'http://203.0.113.10/';
    const wget = async (): Promise<number> => (await device.run(['wget', '-qO-', '-T3', '-t1', address])).exitCode;
    device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', 'otherwise: deny');
    await until('curl to be refused', async () => (await curl('203.0.113.10')) === REFUSED);
    const opening = POLICY.replace('rules:', '  - exec: /usr/bin/wget\nrules:').replace(
      'otherwise:',
      '  - to: "*"\n    do: allow\notherwise:',
    );
    dpkg('--install', buildPackage({ [SHIPPED]: opening, ...PROGRAM }));
    const said = async (): Promise<string> =>
      (await device.status()).diagnostics
        .map(({ code, line }) => `${code} ${line}`)
        .sort()
        .join();
    await until('the package to be read', async () => (await said()) === 'cut-off-rule 9,not-its-own 5');
    expect(await curl('203.0.113.10')).toBe(REFUSED);
    expect(await wget()).toBe(OK);

    device.write('etc/pointsman/packages.yaml', 'pointsman: 1\npackages: [browser]\n');
    await until('wget to be refused', async () => (await wget()) !== OK);
    dpkg('--remove', 'browser');
    device.remove('etc/pointsman/packages.yaml');
    device.remove(`${POLICIES}/org.example.Browser.yaml`);
    await until('the application to be forgotten', async () => !(await isKnown()));
  });

  it("pointsman lets it take no program out of the administrator's `children: same`", async () => {
    const url = (address: string): string => `http://${address}/`;
    const under = async (...command: readonly string[]): Promise<number> =>
      (await device.run([...command, 'curl', '-sS', '--max-time', '10', url('203.0.113.10')])).exitCode;
    device.write(
      `${POLICIES}/backup.yaml`,
      'pointsman: 1\napp: backup\nmatch:\n  - exec: /usr/bin/nice\nchildren: same\nrules: []\notherwise: deny\n',
    );
    await until('what backup starts to be refused', async () => (await under('nice')) === REFUSED);
    dpkg('--install', buildPackage({ [SHIPPED]: POLICY, ...PROGRAM }));
    // Not from what started it, it is the package's.
    await until('curl to be refused one address', async () => (await curl('203.0.113.40')) === REFUSED);
    await until('curl to be let through elsewhere', async () => (await curl('203.0.113.10')) === OK);
    const tries = [];
    for (const command of [['nice'], ['nice', 'nohup'], ['nice', 'setsid', '--wait'], ['nice', 'nice']])
      for (let round = 0; round < 5; round++) tries.push(await under(...command));
    expect(tries).toEqual(tries.map(() => REFUSED));
    // The administrator's own word is stronger.
    device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', 'otherwise: allow');
    await until('curl to be let through', async () => (await under('nice')) === OK);
    dpkg('--remove', 'browser');
    for (const app of ['backup', 'org.example.Browser']) device.remove(`${POLICIES}/${app}.yaml`);
    await until('the application to be forgotten', async () => !(await isKnown()));
  });
});
