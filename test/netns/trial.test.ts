/** Files that somebody tries or edits count when they are right, and go by themselves: what packages bring meanwhile stays. */
import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device, PACKAGE_POLICIES, POLICIES } from './support/device.ts';
import { until } from './support/until.ts';

const URL_V4 = 'http://203.0.113.10/';
const REFUSED = 7;
const OK = 0;
const FAILED = 1;
const NOBODY = 65_534;
const BROWSER = 'org.example.Browser';
/** Time enough for what is to happen within it, also on a machine that has eight times too much to do. */
const WINDOW = '20s';
/** For what is to be over soon. */
const SHORT = '3s';

let device: Device;
let daemon: Daemon | undefined;
let tried: string;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('trial');
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  tried = device.path('new');
  rmSync(tried, { recursive: true, force: true });
  mkdirSync(tried);
  device.remove(POLICIES);
  device.remove(PACKAGE_POLICIES);
  device.write(`${POLICIES}/${BROWSER}.yaml`, policy(BROWSER, 'allow'));
  daemon = await device.startDaemon();
  expect(await curl()).toBe(OK);
});

afterEach(async () => {
  await daemon?.kill();
  daemon = undefined;
  await device.pointsman('panic', 'open');
});

const policy = (app: string, verb: string, program = '/usr/bin/curl'): string =>
  `pointsman: 1\napp: ${app}\nmatch:\n  - exec: ${program}\notherwise: ${verb}\n`;
const curl = async (): Promise<number> => (await device.run(['curl', '-sS', '--max-time', '10', URL_V4])).exitCode;
const fileOf = (name: string): string => readFileSync(device.path(`${POLICIES}/${name}`), 'utf8');
const isBack = (): Promise<unknown> => until('what was before to be back', async () => (await curl()) === OK);
const tryNew = (confirm = WINDOW) => device.pointsman('try', tried, '--confirm', confirm);
const appsInForce = async (): Promise<string[]> => (await device.status()).apps.map(({ app }) => app).sort();

describe('try', () => {
  beforeEach(() => {
    mkdirSync(join(tried, 'policies'));
    writeFileSync(join(tried, 'policies', `${BROWSER}.yaml`), policy(BROWSER, 'deny'));
    writeFileSync(join(tried, 'policies', 'other.yaml'), policy('other', 'deny', '/usr/bin/other'));
  });

  it('puts files into force, and takes them back by itself', async () => {
    const { exitCode, stdout } = await tryNew(SHORT);
    expect([exitCode, stdout]).toEqual([
      OK,
      expect.stringMatching(/Taken back at \d\d:\d\d:\d\d, in 3 s unless you run/),
    ]);
    await isBack();
    expect(await appsInForce()).toEqual([BROWSER]);
    expect(fileOf(`${BROWSER}.yaml`)).toBe(policy(BROWSER, 'allow'));
    expect((await device.status()).warnings).toContainEqual(expect.objectContaining({ code: 'rolled-back' }));
    expect(existsSync(device.path('run/pointsman/trial'))).toBe(false);
  });

  it('makes them the administrator’s where they are confirmed, and no others', async () => {
    expect(await tryNew()).toMatchObject({ exitCode: OK });
    expect([await curl(), await appsInForce()]).toEqual([REFUSED, [BROWSER, 'other']]);
    expect(await device.pointsman('confirm')).toMatchObject({ exitCode: OK });
    expect([fileOf(`${BROWSER}.yaml`), fileOf('other.yaml')]).toEqual([
      policy(BROWSER, 'deny'),
      policy('other', 'deny', '/usr/bin/other'),
    ]);
    expect(lstatSync(device.path(`${POLICIES}/other.yaml`))).toMatchObject({ uid: 0, gid: 0, mode: 0o100644 });
    expect([await curl(), (await device.status()).confirmBeforeMs]).toEqual([REFUSED, undefined]);
    await device.pointsman('reload');
    expect([await curl(), await appsInForce()]).toEqual([REFUSED, [BROWSER, 'other']]);
  });

  it('ends early with a reload', async () => {
    expect(await tryNew()).toMatchObject({ exitCode: OK });
    expect(await curl()).toBe(REFUSED);
    expect(await device.pointsman('reload')).toMatchObject({ exitCode: OK });
    expect([await curl(), (await device.status()).confirmBeforeMs]).toEqual([OK, undefined]);
  });

  it('leaves alone what a package brings meanwhile, and takes back what people save meanwhile', async () => {
    expect(await tryNew(SHORT)).toMatchObject({ exitCode: OK });
    device.write(`${PACKAGE_POLICIES}/packaged.yaml`, policy('packaged', 'deny', '/usr/bin/packaged'));
    device.write(`${POLICIES}/saved.yaml`, policy('saved', 'deny', '/usr/bin/saved'));
    await isBack();
    await until('the package to be there', async () => (await appsInForce()).includes('packaged'));
    expect(await appsInForce()).toEqual([BROWSER, 'packaged']);
    // And what it brings then.
    device.write(`${PACKAGE_POLICIES}/later.yaml`, policy('later', 'deny', '/usr/bin/later'));
    await until('the package to be there', async () => (await appsInForce()).includes('later'));
    expect(await appsInForce()).toEqual(['later', BROWSER, 'packaged']);
    // Whoever saves a file then says what is to hold.
    device.write(`${POLICIES}/saved.yaml`, policy('saved', 'allow', '/usr/bin/saved'));
    await until('what was saved to count', async () => (await appsInForce()).includes('saved'));
  });

  it('puts nothing into force of files of which one has a mistake', async () => {
    writeFileSync(join(tried, 'policies', 'other.yaml'), `${policy('other', 'deny')}rules: nonsense\n`);
    const { exitCode, stderr } = await tryNew();
    expect(exitCode).toBe(FAILED);
    expect(stderr).toMatch(/new\/policies\/other\.yaml:6:\d+: error/);
    expect(stderr).toContain('^');
    expect([await curl(), await appsInForce(), (await device.status()).confirmBeforeMs]).toEqual([
      OK,
      [BROWSER],
      undefined,
    ]);
  });

  it('puts nothing into force that does not fit what is there', async () => {
    // Right by itself; the administrator's other file names the same program.
    rmSync(join(tried, 'policies'), { recursive: true });
    writeFileSync(join(tried, 'other.yaml'), policy('other', 'deny'));
    const { exitCode, stderr } = await tryNew();
    expect([exitCode, stderr]).toEqual([FAILED, expect.stringContaining('other.yaml')]);
    expect([await curl(), await appsInForce()]).toEqual([OK, [BROWSER]]);
  });

  it('goes with a daemon that is killed', async () => {
    expect(await tryNew()).toMatchObject({ exitCode: OK });
    expect(await curl()).toBe(REFUSED);
    await daemon?.kill();
    daemon = await device.startDaemon();
    expect([await curl(), await appsInForce(), (await device.status()).confirmBeforeMs]).toEqual([
      OK,
      [BROWSER],
      undefined,
    ]);
    expect(existsSync(device.path('run/pointsman/trial'))).toBe(false);
  });

  it('is not kept in a directory that others can change, and waits on', async () => {
    expect(await tryNew()).toMatchObject({ exitCode: OK });
    await device.run(['chmod', 'o+w', device.path(POLICIES)]);
    const { exitCode, stderr } = await device.pointsman('confirm');
    expect([exitCode, stderr]).toEqual([FAILED, expect.stringContaining('everybody can change')]);
    expect(existsSync(device.path(`${POLICIES}/other.yaml`))).toBe(false);
    await device.run(['chmod', 'o-w', device.path(POLICIES)]);
    expect(await device.pointsman('confirm')).toMatchObject({ exitCode: OK });
    expect(await curl()).toBe(REFUSED);
  });

  it('is one at a time', async () => {
    expect(await tryNew()).toMatchObject({ exitCode: OK });
    const { exitCode, stderr } = await tryNew();
    expect([exitCode, stderr]).toEqual([FAILED, expect.stringContaining('something is being tried already')]);
  });
});

describe('reload --confirm', () => {
  it('takes back what people saved, also within the window, and leaves alone what a package brings', async () => {
    device.write(`${POLICIES}/${BROWSER}.yaml`, policy(BROWSER, 'deny'));
    expect(await device.pointsman('reload', '--confirm', SHORT)).toMatchObject({ exitCode: OK });
    device.write(`${POLICIES}/saved.yaml`, policy('saved', 'deny', '/usr/bin/saved'));
    device.write(`${PACKAGE_POLICIES}/packaged.yaml`, policy('packaged', 'deny', '/usr/bin/packaged'));
    await isBack();
    expect(await appsInForce()).toEqual([BROWSER, 'packaged']);
    expect(await device.pointsman('reload')).toMatchObject({ exitCode: OK });
    expect([await curl(), await appsInForce()]).toEqual([REFUSED, [BROWSER, 'packaged', 'saved']]);
  });
});

describe('edit', () => {
  const run = (editor: string, app: string, ...args: readonly string[]) =>
    device.pointsmanIn({ EDITOR: editor }, 'edit', app, ...args);

  it('puts what was edited into force, and into the file', async () => {
    const { exitCode, stdout } = await run('sed -i s/allow/deny/', BROWSER);
    expect([exitCode, stdout]).toEqual([OK, expect.stringContaining(`changed: ${BROWSER}`)]);
    expect([fileOf(`${BROWSER}.yaml`), await curl()]).toEqual([policy(BROWSER, 'deny'), REFUSED]);
    expect((await device.status()).confirmBeforeMs).toBeUndefined();
  });

  it('goes back with --confirm where nobody does', async () => {
    expect(await run('sed -i s/allow/deny/', BROWSER, '--confirm', SHORT)).toMatchObject({ exitCode: OK });
    await isBack();
    expect(fileOf(`${BROWSER}.yaml`)).toBe(policy(BROWSER, 'allow'));
  });

  it('stays with --confirm where somebody does', async () => {
    expect(await run('sed -i s/allow/deny/', BROWSER, '--confirm', WINDOW)).toMatchObject({ exitCode: OK });
    expect(fileOf(`${BROWSER}.yaml`)).toBe(policy(BROWSER, 'allow'));
    expect(await device.pointsman('confirm')).toMatchObject({ exitCode: OK });
    expect([fileOf(`${BROWSER}.yaml`), await curl()]).toEqual([policy(BROWSER, 'deny'), REFUSED]);
  });

  it('applies nothing of a file with mistakes, and says where', async () => {
    const { exitCode, stderr } = await run('sed -i s/allow/perhaps/', BROWSER);
    expect([exitCode, stderr]).toEqual([FAILED, expect.stringMatching(/org\.example\.Browser\.yaml:5:12: error/)]);
    expect(stderr).toContain('^');
    expect([fileOf(`${BROWSER}.yaml`), await curl()]).toEqual([policy(BROWSER, 'allow'), OK]);
  });

  it('changes nothing where nothing was changed, or the editor ends badly', async () => {
    expect(await run('true', BROWSER)).toMatchObject({
      exitCode: OK,
      stderr: expect.stringContaining('Nothing was changed'),
    });
    expect(await run('false', BROWSER)).toMatchObject({ exitCode: FAILED });
    expect(await run('no-such-editor', BROWSER)).toMatchObject({ exitCode: 6 });
    expect(fileOf(`${BROWSER}.yaml`)).toBe(policy(BROWSER, 'allow'));
  });

  it('does not write over what somebody else saved meanwhile', async () => {
    const both = `sh -c 'echo "# theirs" >> ${device.path(`${POLICIES}/${BROWSER}.yaml`)}; sed -i s/allow/deny/ "$1"' edit`;
    const { exitCode, stderr } = await run(both, BROWSER);
    expect([exitCode, stderr]).toEqual([FAILED, expect.stringContaining('changed by somebody else meanwhile')]);
    expect(fileOf(`${BROWSER}.yaml`)).toBe(`${policy(BROWSER, 'allow')}# theirs\n`);
    // Before it, perhaps, one that somebody else has left.
    const copy = [...stderr.matchAll(/\/\S*pointsman-edit-\S*/g)].at(-1)?.[0] ?? '';
    expect(readFileSync(copy, 'utf8')).toBe(policy(BROWSER, 'deny'));
    rmSync(join(copy, '..'), { recursive: true });
  });

  it('begins a file of which there is none', async () => {
    const { exitCode } = await run('sed -i -e s,/usr/bin/PROGRAM,/usr/bin/other, -e s/^#otherwise/otherwise/', 'other');
    expect(exitCode).toBe(OK);
    expect(await appsInForce()).toEqual([BROWSER, 'other']);
    expect(fileOf('other.yaml')).toContain('otherwise: deny');
  });

  it('writes the file where no daemon runs', async () => {
    await daemon?.kill();
    await device.pointsman('panic', 'open');
    const { exitCode, stdout } = await run('sed -i s/allow/deny/', BROWSER);
    expect([exitCode, stdout]).toEqual([OK, expect.stringContaining('no daemon runs')]);
    expect(fileOf(`${BROWSER}.yaml`)).toBe(policy(BROWSER, 'deny'));
  });

  it('is for root alone', async () => {
    const outcome = await device.run([
      ...['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'],
      ...[...device.readableProgram(), '--root', device.rootDir, 'edit', BROWSER],
    ]);
    expect(outcome).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('sudo pointsman edit') });
  });
});
