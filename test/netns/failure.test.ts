/** Refusals of the kernel, of the disk and of people's files: a named error, the last good state in force, nothing lost. */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildProgram, POINTSMAN } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device, POLICIES, type StartOptions, UPLINKS } from './support/device.ts';
import { changesSince, type KernelState, kernelState } from './support/kernel-state.ts';
import { until } from './support/until.ts';

const OK = 0;
const REFUSED = 7;
const EXIT = { alreadyRunning: 4, notPermitted: 5, missing: 6 } as const;
const SERVER = '203.0.113.10';
const NFT = '/usr/sbin/nft';

let device: Device;
let untouched: KernelState;
let daemon: Daemon | undefined;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('fail');
  untouched = await kernelState(device);
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  for (const uplink of ['wired', 'tunnel']) device.remove(`${UPLINKS}/${uplink}.yaml`);
  rmSync(nftRefuses(), { force: true });
  writePolicy('deny');
});

afterEach(async () => {
  rmSync(nftRefuses(), { force: true });
  if (daemon?.ending === undefined) await daemon?.stop();
  daemon = undefined;
  expect(await changesSince(device, untouched)).toEqual([]);
});

const writePolicy = (verb: 'allow' | 'deny'): void =>
  device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', `otherwise: ${verb}`);
const curl = async (): Promise<number> =>
  (await device.run(['curl', '-sS', '--max-time', '10', `http://${SERVER}/`])).exitCode;
const start = async (options: StartOptions = {}): Promise<void> => {
  daemon = await device.startDaemon(options);
  expect(await curl()).toBe(REFUSED);
};

/** While this file is there, nft refuses. */
const nftRefuses = (): string => join(device.stateDir, 'nft-refuses');

/** Fixed text; what varies comes as arguments. A mount in a mount namespace of the daemon's own touches nobody else. */
const withMount =
  (mount: string, ...parameters: readonly string[]) =>
  (command: readonly string[]): readonly string[] => [
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c'],
    `${mount}; shift ${parameters.length}; exec "$@"`,
    'sh',
    ...parameters,
    ...command,
  ];

describe('a refusal', () => {
  it('nft refuses: the last good state stays in force, status says what nft said, and it is tried again', async () => {
    const flag = nftRefuses();
    const real = join(device.stateDir, 'nft-real');
    const wrapper = join(device.stateDir, 'nft-wrapper');
    copyFileSync(NFT, real);
    const script = `#!/bin/sh
for argument; do [ "$argument" != list ] || exec "${real}" "$@"; done
if [ -e "${flag}" ]; then
  echo tried >> "${flag}"
  echo "/dev/stdin:1:1-3: Error: Could not process rule: No buffer space available" >&2
  exit 1
fi
exec "${real}" "$@"
`;
    writeFileSync(wrapper, script, { mode: 0o755 });
    await start({ wrap: withMount('mount --bind "$1" "$2"', wrapper, NFT) });

    writeFileSync(flag, '');
    writePolicy('allow');
    device.write(`${UPLINKS}/wired.yaml`, 'pointsman: 1\nuplink: wired\ndevice: lan0\n');
    const status = await device.untilStatus('the refusal', ({ warnings }) =>
      warnings.some(({ code }) => code === 'apply-failed'),
    );
    expect(status.warnings.map(({ message }) => message).join()).toContain('No buffer space available');
    expect(status.state).toBe('degraded');
    expect(await curl()).toBe(REFUSED);
    // A try puts routing before the ruleset, and takes it back when that is refused.
    await until(
      'what was tried to be taken back',
      async () => !(await device.must('device', ['ip', 'rule'])).includes('lookup 17703'),
    );

    // What the daemon itself takes back must not lead it to the next try at once.
    await delay(1000);
    expect(readFileSync(flag, 'utf8').split('\n').length).toBeLessThan(10);

    rmSync(flag);
    await device.untilStatus('the next try', ({ warnings, state }) => warnings.length === 0 && state === 'enforcing');
    expect(await curl()).toBe(OK);
  });

  it('netlink refuses a route: its uplink counts as down, status names it with the file, and all else comes into force', async () => {
    await start();
    // The broadcast address of the link: a next hop that the kernel does not take.
    device.write(
      `${UPLINKS}/wired.yaml`,
      'pointsman: 1\nuplink: wired\ndevice: lan0\ngateway: { v4: 192.168.77.255 }\n',
    );
    writePolicy('allow');
    const status = await device.untilStatus('the refusal', ({ warnings }) => warnings.length > 0);
    expect(status.warnings).toMatchObject([{ code: 'uplink-refused' }]);
    expect(status.warnings[0]?.message).toMatch(/wired by gateway 192\.168\.77\.255 .*wired\.yaml.*\[EINVAL\]/);
    expect(status.state).toBe('enforcing');
    expect(status.uplinks).toContainEqual(expect.objectContaining({ name: 'wired', up: false }));
    expect(await curl()).toBe(OK);
    device.remove(`${UPLINKS}/wired.yaml`);
    await device.untilStatus('the file to be gone', ({ warnings }) => warnings.length === 0);
    expect(await curl()).toBe(OK);
  });
});

/** What becomes of nft while the daemon runs. */
const NFT_FAULTS: readonly (readonly [string, (file: string) => void])[] = [
  ['may not be run any more', (file) => chmodSync(file, 0o000)],
  ['is killed, as where memory is short', (file) => writeFileSync(file, '#!/bin/sh\nkill -9 $$\n')],
  ['is a file of another machine', (file) => writeFileSync(file, '\x7fELF of another machine')],
  ['has an interpreter that is gone', (file) => writeFileSync(file, '#!/nowhere/sh\n')],
  ['says nothing, and that all is well', (file) => writeFileSync(file, '#!/bin/sh\ncat > /dev/null\n')],
];

describe('nft', () => {
  it.each(NFT_FAULTS)(
    '%s: the last good state stays in force, and the new one comes when it works again',
    async (_, spoil) => {
      const real = join(device.stateDir, 'nft-real');
      const wrapper = join(device.stateDir, 'nft-spoilt');
      const works = `#!/bin/sh\nexec "${real}" "$@"\n`;
      copyFileSync(NFT, real);
      writeFileSync(wrapper, works, { mode: 0o755 });
      await start({ wrap: withMount('mount --bind "$1" "$2"', wrapper, NFT) });

      spoil(wrapper);
      writePolicy('allow');
      await device.untilStatus(
        'the failure',
        ({ state, warnings }) => state === 'degraded' && warnings.some(({ code }) => code === 'apply-failed'),
      );
      expect(await curl()).toBe(REFUSED);
      expect(daemon?.ending).toBeUndefined();

      writeFileSync(wrapper, works);
      chmodSync(wrapper, 0o755);
      await until('the new policy', async () => (await curl()) === OK);
      await device.untilStatus(
        'the end of the warning',
        ({ state, warnings }) => state === 'enforcing' && warnings.length === 0,
      );
    },
  );
});

describe('a missing part', () => {
  it('the device of an uplink is missing: status says so, and what requires it is refused', async () => {
    device.write(`${UPLINKS}/tunnel.yaml`, 'pointsman: 1\nuplink: tunnel\ndevice: wg9\ntype: vpn\nencrypted: true\n');
    const requires = 'otherwise: allow\nvia: { require: { encrypted: true }, else: block }';
    device.writePolicy('org.example.Browser', 'exec: /usr/bin/curl', requires);
    await start();
    const { uplinks, warnings } = await device.status();
    expect(uplinks.find(({ name }) => name === 'tunnel')).toMatchObject({ device: 'wg9', up: false });
    expect(warnings.map(({ message }) => message).join()).toMatch(/wg9/);
  });

  it('nft is missing: exit code 6 and the package to install', async () => {
    daemon = device.spawnDaemon({ wrap: withMount('mount --bind /dev/null "$1"', NFT) });
    expect(await daemon.ended()).toBe(`exit code ${EXIT.missing}`);
    expect(daemon.output).toMatch(/nft.*nftables/);
    expect(daemon.output).not.toContain('    at ');
  });

  it('the disk is full: it enforces, keeps the last good policy of a file that breaks, and says what it cannot keep', async () => {
    const fill =
      'mount -t tmpfs -o size=64k tmpfs "$1"; dd if=/dev/zero of="$1/filler" bs=4k count=64 status=none 2>/dev/null';
    await start({ wrap: withMount(fill, device.path('var')) });
    const said = async (): Promise<string> => {
      const { warnings, diagnostics } = await device.status();
      return [...warnings, ...diagnostics].map(({ message }) => message).join('\n');
    };
    expect(await said()).toMatch(/ENOSPC|no space/i);
    writePolicy('allow');
    await device.pointsman('reload');
    expect(await curl()).toBe(OK);
    device.write(`${POLICIES}/org.example.Browser.yaml`, 'pointsman: 1\napp: [');
    await device.pointsman('reload');
    expect(await curl()).toBe(OK);
    expect((await device.status()).diagnostics.map(({ code }) => code)).toContain('yaml-syntax');
  });
});

describe("people's files", () => {
  it('a policy file breaks: its last good policy stays in force, also over a restart, and status has the diagnostic', async () => {
    await start();
    const file = `${POLICIES}/org.example.Browser.yaml`;
    device.write(file, 'pointsman: 1\napp: org.example.Browser\nmatch:\n  - exec: /usr/bin/curl\notherwise: alow\n');
    device.writePolicy('org.example.Other', 'exec: /usr/bin/dig', 'otherwise: deny');
    await device.untilStatus('the other application', ({ apps }) =>
      apps.some(({ app }) => app === 'org.example.Other'),
    );
    expect(await curl()).toBe(REFUSED);
    const outcome = await device.pointsman('status', '--json');
    expect(JSON.parse(outcome.stdout)).toMatchObject({
      diagnostics: [{ code: 'invalid-value', file: device.path(file), line: 5, column: 12 }],
    });
    await daemon?.stop();
    daemon = await device.startDaemon();
    expect(await curl()).toBe(REFUSED);
    device.remove(`${POLICIES}/org.example.Other.yaml`);
  });

  it('the policy directory cannot be read: the last good policies stay in force, and status names the directory', async () => {
    await start();
    const directory = device.path(POLICIES);
    // Root reads whatever the mode says: a file in its place cannot be listed by anybody.
    await device.must('device', ['mv', directory, `${directory}.away`]);
    writeFileSync(directory, '');
    await device.pointsman('reload');
    expect(await curl()).toBe(REFUSED);
    const { diagnostics, warnings } = await device.status();
    expect(JSON.stringify([diagnostics, warnings])).toContain(directory);
    rmSync(directory);
    await device.must('device', ['mv', `${directory}.away`, directory]);
    await device.pointsman('reload');
    expect(await curl()).toBe(REFUSED);
    expect((await device.status()).diagnostics).toEqual([]);
  });
});

describe('a start that must not be', () => {
  it('up is refused to a user who is not root: exit code 5 and how to do it', async () => {
    const asNobody = (command: readonly string[]): readonly string[] => [
      ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
      ...command,
    ];
    daemon = device.spawnDaemon({ program: device.readableProgram(), wrap: asNobody });
    expect(await daemon.ended()).toBe(`exit code ${EXIT.notPermitted}`);
    expect(daemon.output).toMatch(/root.*sudo/);
    expect(daemon.output).not.toContain('    at ');
  });

  it('up is refused beside another daemon in the same network namespace, also with another root: exit code 4', async () => {
    await start();
    const before = await kernelState(device);
    const second = device.spawnDaemon();
    expect(await second.ended()).toBe(`exit code ${EXIT.alreadyRunning}`);
    expect(second.output).toContain(`${daemon?.pid}`);
    const otherRoot = device.path('other');
    mkdirSync(otherRoot);
    const third = await device.run([...POINTSMAN, 'up', '--root', otherRoot]);
    expect(third.exitCode).toBe(EXIT.alreadyRunning);
    expect(existsSync(join(otherRoot, 'run'))).toBe(false);
    expect(await changesSince(device, before)).toEqual([]);
    expect(await curl()).toBe(REFUSED);
  });
});
