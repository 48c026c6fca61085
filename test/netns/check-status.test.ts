/** What `check` says of the files below a root is what the daemon there says of them: `status` shows it. */
import { renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Status } from '../../src/api/status.ts';
import type { CheckReport } from '../../src/cli/check-files.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device, PACKAGE_POLICIES, POLICIES, UPLINKS } from './support/device.ts';
import { until } from './support/until.ts';

let device: Device;
let daemon: Daemon;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('agree');
});

afterAll(() => device?.[Symbol.asyncDispose]());

const policy = (app: string, match: string, rest = 'otherwise: deny'): string =>
  `pointsman: 1\napp: ${app}\nmatch:\n  - ${match}\n${rest}\n`;

/** Of each kind of place, a file that says something else than it should, or more than fits the others. */
const FILES: Readonly<Record<string, string>> = {
  [`${POLICIES}/uplink.yaml`]: 'pointsman: 1\nuplink: elsewhere\ndevice: eth7\n',
  [`${UPLINKS}/policy.yaml`]: policy('org.example.Astray', 'exec: /usr/bin/astray'),
  [`${POLICIES}/a.yaml`]: policy('a', 'exec: /usr/bin/a'),
  [`${POLICIES}/b.yaml`]: policy('b', 'exec: /usr/bin/a'),
  [`${POLICIES}/c.yaml`]: policy('a', 'exec: /usr/bin/c'),
  [`${POLICIES}/via.yaml`]: policy('via', 'exec: /usr/bin/via', 'via: { require: { name: nowhere }, else: block }'),
  [`${POLICIES}/during.yaml`]: policy('during', 'exec: /usr/bin/d', 'rules: [{ to: "*", do: deny, during: never }]'),
  [`${POLICIES}/broken.yaml`]: policy('broken', 'exec: /usr/bin/broken', 'othewise: deny'),
  [`${POLICIES}/empty.yaml`]: '',
  [`${POLICIES}/below/deeper.yaml`]: policy('deeper', 'exec: /usr/bin/deeper', 'othewise: deny'),
  [`${PACKAGE_POLICIES}/shipped.yaml`]: policy('shipped', 'exec: /usr/bin/shipped', 'othewise: deny'),
  'etc/pointsman/loose.yaml': policy('loose', 'exec: /usr/bin/loose'),
  'etc/pointsman/default.yml': 'pointsman: 1\notherwise: deny\n',
  [`${POLICIES}/other.conf`]: policy('other', 'exec: /usr/bin/other'),
  'etc/pointsman/default.yaml': 'pointsman: 1\notherwise: denied\n',
};

const placesOf = (diagnostics: CheckReport['diagnostics']): readonly string[] =>
  diagnostics
    .filter(({ code }) => code !== 'misfit-match')
    .map(({ file, line, code, message }) => `${file}:${line} ${code} ${message}`)
    .sort();

async function check(): Promise<CheckReport> {
  const { stdout, stderr } = await device.pointsman('check', '--json');
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as CheckReport;
}

const status = async (): Promise<Status> => JSON.parse((await device.pointsman('status', '--json')).stdout) as Status;

describe('check', () => {
  it('finds the mistakes in files that the daemon finds, and no others', async () => {
    for (const [path, text] of Object.entries(FILES)) device.write(path, text);
    const alone = placesOf((await check()).diagnostics);
    daemon = await device.startDaemon();
    const told = placesOf((await status()).diagnostics);
    expect(told.length).toBeGreaterThan(8);
    expect(placesOf((await check()).diagnostics)).toEqual(told);
    expect(alone).toEqual(told);
  });

  it('looks at the programs that the daemon governs: those of the machine, also with another root', async () => {
    device.write(`${POLICIES}/ldd.yaml`, policy('ldd', 'exec: /usr/bin/ldd'));
    device.write(`${POLICIES}/directory.yaml`, policy('directory', 'exec: /usr/bin'));
    expect(await device.pointsman('reload')).toBeDefined();
    const misfits = await until('the daemon to have looked', async () => {
      const warning = (await status()).warnings.find(({ code }) => code === 'entries-misfit');
      return warning?.message.includes('ldd.yaml') === true && warning;
    });
    const { diagnostics } = await check();
    const told = diagnostics.filter(({ code }) => code === 'misfit-match').map(({ message }) => message);
    expect(told).toEqual(expect.arrayContaining([expect.stringContaining('/usr/bin/ldd is a script')]));
    for (const part of misfits.message.split('; '))
      expect(
        told.some((one) => part.endsWith(one)),
        part,
      ).toBe(true);
    // What is not there yet may come: it is no warning that lasts, and everybody says so.
    expect(told).toEqual(expect.arrayContaining([expect.stringContaining('there is no /usr/bin/via here')]));
    const inStatus = (await status()).diagnostics.filter(({ code }) => code === 'misfit-match');
    expect(inStatus.map(({ message }) => message).sort()).toEqual(told.toSorted());
    expect(misfits.message).not.toContain('/usr/bin/via');
    for (const path of Object.keys(FILES)) device.remove(path);
    expect(await device.pointsman('reload')).toMatchObject({ exitCode: 0 });
  });

  it.each([
    ['exec: /usr/bin/curll', 'did you mean exec: /usr/bin/curl?'],
    ['user: roott', 'did you mean user: root?'],
    ['group: no-such-group', 'group: NUMBER'],
    ['exec: /usr/bin/PROGRAM', 'as soon as the file is there'],
  ])('is not alone in telling that nothing fits %s: reload, try and edit do', async (match, hint) => {
    const misfit = expect.stringMatching(
      new RegExp(`mistyped\\.yaml:4:\\d+: warning: .*\\[misfit-match\\][^]*hint: .*${hint.replaceAll('?', '\\?')}`),
    );
    const [app, file] = ['mistyped', `${POLICIES}/mistyped.yaml`];
    device.write(file, policy(app, match));
    expect(await device.pointsman('check', device.path(file))).toMatchObject({ exitCode: 0, stdout: misfit });
    expect(await device.pointsman('reload')).toMatchObject({ exitCode: 0, stderr: misfit });
    device.remove(file);
    await device.pointsman('reload');
    device.write('trial/mistyped.yaml', policy(app, match));
    expect(await device.pointsman('try', device.path('trial'))).toMatchObject({ exitCode: 0, stderr: misfit });
    expect(await device.pointsman('reload')).toMatchObject({ stderr: expect.not.stringContaining('mistyped') });
    const EDITOR = `cp ${device.path('trial/mistyped.yaml')}`;
    expect(await device.pointsmanIn({ EDITOR }, 'edit', app)).toMatchObject({ exitCode: 0, stderr: misfit });
    device.remove(file);
    device.remove('trial');
    await device.pointsman('reload');
  });

  it('tells of a file that nobody reads any more: in status, in the log, and after a reload', async () => {
    const policies = device.path(POLICIES);
    const unread = async (): Promise<string | undefined> =>
      (await status()).warnings.find(({ code }) => code === 'files-not-read')?.message;
    device.write('etc/pointsman/default.yaml', 'pointsman: 1\notherwise: deny\n');
    await device.pointsman('reload');
    expect(await unread()).toBeUndefined();
    const logged = daemon.output.length;
    renameSync(device.path('etc/pointsman/default.yaml'), device.path('etc/pointsman/default.yml'));
    const message = await until('the daemon to say so', unread);
    expect(message).toContain(`${dirname(policies)}/default.yml`);
    expect(daemon.output.slice(logged)).toMatch(/nobody reads .*\/default\.yml \[files-not-read\]/);
    // It is as any other that is put there: somebody who reloads is told.
    device.write(`${POLICIES}/below/deeper.yaml`, policy('deeper', 'exec: /usr/bin/deeper'));
    const { exitCode, stderr } = await device.pointsman('reload');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining('[not-read]') });
    expect(stderr).toContain(`hint: mv ${policies}/below/deeper.yaml ${policies}/deeper.yaml`);
    expect(await unread()).toContain(`${policies}/below/deeper.yaml`);
    renameSync(`${policies}/below/deeper.yaml`, `${policies}/deeper.yaml`);
    renameSync(device.path('etc/pointsman/default.yml'), device.path('etc/pointsman/default.yaml'));
    await until('that to be over', async () => (await unread()) === undefined);
    expect((await status()).apps.map(({ app }) => app)).toContain('deeper');
  });

  it('agrees with explain and route, which say that their lines are those of the last good version', async () => {
    for (const path of Object.keys(FILES)) device.remove(path);
    const file = device.path(`${POLICIES}/once.yaml`);
    const good = policy('once', 'exec: /usr/bin/once', 'rules: [{ to: 192.0.2.1, do: deny }]');
    const answers = async (): Promise<readonly string[]> => [
      (await device.pointsman('explain', '--app', 'once', '--to', '192.0.2.1:80')).stdout,
      (await device.pointsman('route', 'once')).stdout,
    ];
    const asJson = async (): Promise<readonly (readonly string[] | undefined)[]> => {
      const asked = [
        await device.pointsman('explain', '--json', '--app', 'once', '--to', '192.0.2.1:80'),
        await device.pointsman('route', '--json', 'once'),
      ];
      return asked.map(({ stdout }) => (JSON.parse(stdout) as { readonly lastGood?: readonly string[] }).lastGood);
    };
    device.write(`${POLICIES}/once.yaml`, good);
    expect(await device.pointsman('reload')).toMatchObject({ exitCode: 0 });
    for (const text of await answers()) expect(text).not.toContain('last good');
    expect(await asJson()).toEqual([undefined, undefined]);
    device.write(`${POLICIES}/once.yaml`, `# one\n# two\n${good}othewise: deny\n`);
    expect(await device.pointsman('reload')).toMatchObject({ exitCode: 1 });
    for (const text of await answers()) {
      expect(text).toContain(`${file}:5`);
      expect(text).toContain(`note: ${file} has a mistake: its last good version is in force`);
    }
    expect(await asJson()).toEqual([[file], [file]]);
    // The daemon kept it for whoever comes after it.
    await daemon.kill();
    for (const text of await answers()) expect(text).toContain(`note: ${file} has a mistake`);
    expect(await asJson()).toEqual([[file], [file]]);
    daemon = await device.startDaemon();
    const logged = daemon.output.length;
    device.remove(`${POLICIES}/once.yaml`);
    await until('the log to name whose policy is gone', async () =>
      daemon.output.slice(logged).includes('files changed (no policy any more: once): '),
    );
  });
});
