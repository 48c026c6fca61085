/**
 * A lab whose daemon was killed or stopped: every command of the lab says so, and what is printed brings it back. And the lab's network is
 * its own: what is done with `--lab` from another one leaves that as it is.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { labFiles } from '../../src/lab/lab-state.ts';
import { collect, type Outcome } from '../../src/lab/run-tool.ts';
import { namespaceName } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import { Daemon } from './support/daemon.ts';
import { commandsIn, oneWordProgram } from './support/typed-hint.ts';
import { until } from './support/until.ts';

const ID = `had${process.pid}`;
const ELSEWHERE = `pmelse${process.pid}`;
const TIMEOUT_MS = 180_000;
const PROGRAM = `/tmp/pointsman-typed-${process.pid}/pm`;
const NOT_RUNNING = 3;
const WWW = ['curl', '-sS', '-m', '5', 'http://203.0.113.10/'];
/** Neither the lab's nor the machine's. */
const CALLERS_TABLE =
  'table inet callers { chain out { type filter hook output priority 0; counter accept; }; }; table inet pointsman_of_nobody { }';

/** In a network of its own, which is neither the lab's nor the machine's. */
const elsewhere = (...command: readonly string[]): Promise<Outcome> =>
  collect(['nsenter', `--net=/run/netns/${ELSEWHERE}`, ...command], { timeoutMs: TIMEOUT_MS });
const pointsman = (...words: readonly string[]): Promise<Outcome> => elsewhere(PROGRAM, ...words);
const lab = (...words: readonly string[]): Promise<Outcome> => pointsman('lab', '--id', ID, ...words);
const type = async (command = ''): Promise<number> => (await elsewhere('sh', '-c', command)).exitCode;
const inLab = (...command: readonly string[]): Promise<Outcome> =>
  collect(['nsenter', `--net=/run/netns/${namespaceName(ID, 'device')}`, ...command], { timeoutMs: TIMEOUT_MS });

async function daemonPid(): Promise<number> {
  const { stdout } = await pointsman('status', '--lab', ID, '--json');
  return (JSON.parse(stdout) as { readonly pid: number }).pid;
}

async function killDaemon(): Promise<void> {
  process.kill(await daemonPid(), 'SIGKILL');
  await until('it to be gone', async () => (await pointsman('status', '--lab', ID)).exitCode === NOT_RUNNING);
}

beforeAll(async () => {
  await buildProgram();
  oneWordProgram(PROGRAM);
  await collect(['ip', 'netns', 'add', ELSEWHERE], { timeoutMs: TIMEOUT_MS });
  expect(await elsewhere('nft', CALLERS_TABLE)).toMatchObject({ exitCode: 0 });
  expect(await lab('up')).toMatchObject({ exitCode: 0 });
});

afterAll(async () => {
  await lab('down');
  await collect(['ip', 'netns', 'delete', ELSEWHERE], { timeoutMs: TIMEOUT_MS });
  await collect(['rm', '-r', PROGRAM.slice(0, -3)], { timeoutMs: TIMEOUT_MS });
});

describe("a lab's daemon", () => {
  it('that was killed is missed by every command of the lab, and had back by what is printed', async () => {
    await killDaemon();
    const told = [await lab('status'), await lab('exec', '--', 'true'), await lab('link', 'cellular', 'clear')];
    expect(told.map(({ exitCode }) => exitCode)).toEqual([1, 0, 0]);
    const hints = told.map(({ stdout, stderr }) => commandsIn(`${stdout}${stderr}`));
    expect(hints).toEqual([
      [`${PROGRAM} lab --id ${ID} up`],
      [`${PROGRAM} lab --id ${ID} up`],
      [`${PROGRAM} lab --id ${ID} up`],
    ]);
    const [up = '', down = ''] = commandsIn((await pointsman('status', '--lab', ID)).stderr);
    expect([up, down]).toEqual([`${PROGRAM} lab --id ${ID} up`, `${PROGRAM} down --lab ${ID}`]);
    const before = await inLab('ip', '-o', 'link');

    expect(await type(up)).toBe(0);
    // The same world, not another one.
    expect((await inLab('ip', '-o', 'link')).stdout).toBe(before.stdout);
    expect(await lab('status')).toMatchObject({ exitCode: 0 });
    expect(await pointsman('status', '--lab', ID)).toMatchObject({ exitCode: 0 });
    expect(await lab('exec', '--', ...WWW)).toMatchObject({ exitCode: 0, stderr: '' });

    await killDaemon();
    expect(await type(down)).toBe(0);
    expect((await inLab('nft', 'list', 'tables')).stdout).not.toContain('pointsman');
    const [again] = commandsIn((await pointsman('status', '--lab', ID)).stderr);
    expect([again, await type(again)]).toEqual([up, 0]);
    expect(await lab('status')).toMatchObject({ exitCode: 0 });
  });

  it('that is stopped is told of as that, and goes on by what is printed', async () => {
    const pid = await daemonPid();
    process.kill(pid, 'SIGSTOP');
    const told = [
      await lab('status'),
      await lab('exec', '--', 'true'),
      await lab('link', 'cellular', 'clear'),
      await lab('up'),
    ];
    expect(told.map(({ exitCode }) => exitCode)).toEqual([1, 0, 0, 4]);
    for (const { stdout, stderr } of told) expect(commandsIn(`${stdout}${stderr}`)[0]).toBe(`kill -CONT ${pid}`);
    expect(await type(`kill -CONT ${pid}`)).toBe(0);
    expect(await lab('status')).toMatchObject({ exitCode: 0 });
  });

  it('that has ended is not started with other files than it had: who wants those builds the lab anew', async () => {
    await killDaemon();
    const { rootDir } = labFiles(`/run/pointsman-lab/${ID}`);
    const refused = await lab('up', '--policies', `${rootDir}/etc/pointsman/policies`);
    expect([refused.exitCode, commandsIn(refused.stderr)]).toEqual([4, [`${PROGRAM} lab --id ${ID} down`]]);
    expect(await lab('up')).toMatchObject({ exitCode: 0 });
  });
});

describe('--lab', () => {
  const tables = async (where: typeof elsewhere): Promise<string> => {
    const looks = [
      'nft list ruleset',
      'ip rule',
      'ip -6 rule',
      'ip route show table all',
      'ip -6 route show table all',
    ];
    const { stdout } = await where('sh', '-c', looks.join('; '));
    return stdout.replaceAll(/counter packets \d+ bytes \d+/g, 'counter');
  };
  const ours = async (where: typeof elsewhere): Promise<readonly string[]> => {
    const { stdout } = await where('nft', 'list', 'tables');
    const found = [...stdout.matchAll(/^table inet (pointsman\w*)$/gm)].map(([, name = '']) => name);
    // Comes with the daemon's first check of itself, and goes with what else is its.
    return found.filter((name) => name !== 'pointsman_check' || !found.includes('pointsman'));
  };
  const withLab = (...words: readonly string[]): Promise<Outcome> => pointsman(...words, '--lab', ID);
  const network = async (): Promise<string> =>
    (JSON.parse((await withLab('doctor', '--json')).stdout) as { readonly network: string }).network;

  it('names the lab for the commands of a lab, too', async () => {
    expect(await withLab('lab', 'status')).toMatchObject({ exitCode: 0 });
    expect(await pointsman('lab', '--lab', ID, 'exec', 'true')).toMatchObject({ exitCode: 0 });
    expect(await withLab('lab', 'link', 'wifi', 'up', '--json')).toMatchObject({ exitCode: 0 });
    const other = `${ID}-other`;
    expect(await pointsman('lab', '--lab', other, 'down')).toMatchObject({
      exitCode: 0,
      stdout: `There is no lab "${other}".\n`,
    });
    expect(await withLab('lab', 'status')).toMatchObject({ exitCode: 0 });
  });

  it('is in the network of the lab, and leaves that of the caller as it was, whatever is done', async () => {
    const before = await tables(elsewhere);
    const NOBODYS = ['pointsman_of_nobody'];
    const steps: [words: readonly string[], exitCode: number, inLabAfter: readonly string[]][] = [
      [['status'], 0, ['pointsman']],
      [['doctor'], 0, ['pointsman']],
      [['doctor', '--probe'], 0, ['pointsman']],
      [['plan', '--diff'], 0, ['pointsman']],
      [['reload'], 0, ['pointsman']],
      [['panic', 'closed'], 0, ['pointsman', 'pointsman_panic']],
      [['status'], 7, ['pointsman', 'pointsman_panic']],
      [['panic', 'off'], 0, ['pointsman']],
      [['panic', 'open'], 0, []],
      [['status'], NOT_RUNNING, []],
      [['panic', 'closed'], 0, ['pointsman_panic']],
      [['down'], NOT_RUNNING, ['pointsman_panic']],
      [['panic', 'off'], 0, []],
      [['plan', '--diff'], 0, []],
      [['uplinks'], 0, []],
      [['down'], 0, []],
    ];
    for (const [words, exitCode, inLabAfter] of steps) {
      const name = words.join(' ');
      const outcome = await withLab(...words);
      expect([name, outcome.exitCode], `${outcome.stdout}${outcome.stderr}`).toEqual([name, exitCode]);
      expect([name, [...(await ours(inLab))].sort()]).toEqual([name, inLabAfter]);
      expect([name, await ours(elsewhere)]).toEqual([name, NOBODYS]);
    }
    expect(await tables(elsewhere)).toBe(before);
  });

  it('has its daemon there, however it is started, and cleans up there what a killed one has left', async () => {
    const before = await tables(elsewhere);
    const daemon = Daemon.spawn(['nsenter', `--net=/run/netns/${ELSEWHERE}`, PROGRAM, 'up', '--lab', ID]);
    try {
      await until('it to be in force', async () => {
        if (daemon.ending !== undefined) throw new Error(daemon.output);
        return (await withLab('status')).exitCode === 0;
      });
      expect(await ours(inLab)).toEqual(['pointsman']);
      expect(await tables(elsewhere)).toBe(before);
    } finally {
      await daemon.kill();
    }
    expect(await ours(inLab)).toEqual(['pointsman']);
    expect(await network()).toContain(namespaceName(ID, 'device'));
    const asked = [await withLab('uplinks'), await withLab('route', 'org.example.News')];
    for (const { stdout } of asked) expect(stdout).toContain('wifi');
    expect(await withLab('down')).toMatchObject({ exitCode: 0 });
    expect(await ours(inLab)).toEqual([]);
    expect(await tables(elsewhere)).toBe(before);
  });
});
