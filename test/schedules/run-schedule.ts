/** A schedule with real programs, packets and daemons. */
import { chmodSync, linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Daemon } from '../netns/support/daemon.ts';
import { until } from '../netns/support/until.ts';
import type { Run, Span } from './judge-run.ts';
import {
  erasOf,
  portOf,
  type Row,
  type RowPolicy,
  type Schedule,
  type ScheduleEvent,
  type Touch,
  type UplinkName,
} from './schedule.ts';
import { FAR, FLOODED, ScheduleWorld } from './schedule-world.ts';

const FIRST_UID = 60_000;
const FIRST_SOURCE_PORT = 40_000;
/** Numbers of the stage for what is no row. */
const CROWD = 60;
const FLOOD = 61;
const NOBODY_UID = 65_534;
/** Before the first event and after the last one. */
const QUIET_MS = 250;
const ONCE_IN_A_LONG_TIME_MS = 3_600_000;

const BODY: Readonly<Record<Exclude<RowPolicy, 'none'>, string>> = {
  deny: 'otherwise: deny\n',
  cellular: 'otherwise: allow\nvia: { require: { name: cellular }, else: block }\n',
  vpn: 'otherwise: allow\nvia: { require: { encrypted: true }, else: block }\n',
  allow: 'otherwise: allow\n',
};

/** CLOCK_MONOTONIC, as the programs have it. */
const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

export interface RunOptions {
  /** Without: nobody is in the way of anything, and uplinks stay up. */
  readonly withDaemon: boolean;
}

export async function runSchedule(schedule: Schedule, { withDaemon }: RunOptions): Promise<Run> {
  const ports = schedule.rows.flatMap((_, i) => erasOf(schedule, i).map((_policy, era) => portOf(i, era)));
  await using world = await ScheduleWorld.build(ports);
  const play = new Play(world, schedule, withDaemon);
  return await play.run();
}

/** What tells a row, and where that stands. */
interface Cast {
  readonly row: Row;
  /** What `match` says; also what is replaced and touched. */
  readonly named: string;
  /** As it is started at the moment. */
  command: string;
  cgroup: string;
  readonly cgroupName: string;
  readonly uid: number;
  era: number;
  policy: RowPolicy;
  /** What a link leads to. */
  version: 1 | 2;
  /** How often something was made for it: names. */
  made: number;
}

class Play {
  readonly #world: ScheduleWorld;
  readonly #schedule: Schedule;
  readonly #withDaemon: boolean;
  readonly #cast: readonly Cast[];
  readonly #other: string;
  /** Called as one that policies name, where they name any. */
  readonly #strange: string;
  readonly #away: Span[] = [];
  readonly #down: (Span & { readonly uplink: UplinkName })[] = [];
  readonly #touched = new Map<number, number>();
  readonly #eventsUs: number[] = [];
  /** What the stage has besides rows. */
  readonly #besides = new Set<number>();
  #daemon: Daemon | undefined;

  constructor(world: ScheduleWorld, schedule: Schedule, withDaemon: boolean) {
    this.#world = world;
    this.#schedule = schedule;
    this.#withDaemon = withDaemon;
    this.#other = world.program('other/other');
    const named = schedule.rows.findIndex(({ telling, policy }) => telling === 'exec' && policy !== 'none');
    this.#strange = world.program(`strange/flood/r${Math.max(named, 0)}`);
    this.#cast = schedule.rows.map((row, i) => this.#castFor(row, i));
    for (const index of this.#cast.keys()) this.#writePolicy(index);
  }

  #castFor(row: Row, index: number): Cast {
    const name = `r${index}`;
    const isInCgroup = row.telling === 'cgroup';
    const cgroupName = isInCgroup ? name : 'plain';
    const named = this.#fileFor(row, name);
    return {
      row,
      named,
      command: row.namesakeOf === undefined ? named : this.#world.program(`strange/${name}/r${row.namesakeOf}`),
      cgroup: this.#world.makeCgroup(cgroupName),
      cgroupName,
      uid: row.telling === 'user' ? FIRST_UID + index : 0,
      era: 0,
      policy: row.policy,
      version: 1,
      made: 0,
    };
  }

  /** The path that its policy says. */
  #fileFor({ telling, path }: Row, name: string): string {
    const world = this.#world;
    switch (telling) {
      case 'cgroup':
      case 'user':
        return this.#other;
      case 'script': {
        const interpreter = world.program('interpreter/interpreter');
        const script = world.path(`opt/${name}/${name}.script`);
        mkdirSync(dirname(script), { recursive: true });
        writeFileSync(script, `#!${interpreter}\n`, { mode: 0o755 });
        return script;
      }
      case 'exec':
      case 'children':
        break;
    }
    switch (path) {
      case 'plain':
        return world.program(`${name}/${name}`);
      case 'directory-link':
        for (const version of ['v1', 'v2']) world.program(`${name}/${version}/${name}`);
        world.link('v1', world.path(`opt/${name}/current`));
        return world.path(`opt/${name}/current/${name}`);
      case 'file-link':
        for (const version of ['1', '2']) world.program(`${name}/${name}-${version}`);
        world.link(`${name}-1`, world.path(`opt/${name}/${name}`));
        return world.path(`opt/${name}/${name}`);
    }
  }

  #of(index: number): Cast {
    const cast = this.#cast[index];
    if (cast === undefined) throw new Error(`there is no row ${index}`);
    return cast;
  }

  #writePolicy(index: number): void {
    const { row, named, cgroupName, uid, policy } = this.#of(index);
    const file = `etc/pointsman/policies/r${index}.yaml`;
    if (policy === 'none') {
      this.#world.remove(file);
      return;
    }
    const match = {
      exec: `exec: ${named}`,
      children: `exec: ${named}`,
      script: `script: ${named}`,
      cgroup: `cgroup: ${this.#world.cgroupPath(cgroupName)}`,
      user: `user: ${uid}`,
    }[row.telling];
    const children = row.telling === 'children' ? 'children: same\n' : '';
    this.#world.write(file, `pointsman: 1\napp: r${index}\nmatch:\n  - ${match}\n${children}${BODY[policy]}`);
  }

  #start(index: number, style: string = this.#of(index).row.style, as = index): void {
    const { row, command, cgroup, uid, era } = this.#of(index);
    const periodMs = as !== index ? 0 : style === 'keep' ? ONCE_IN_A_LONG_TIME_MS : row.periodMs;
    const port = style === 'reuse' ? FIRST_SOURCE_PORT + index : 0;
    const args = [index, era, style, row.kind, FAR[row.family], portOf(index, era), port, this.#other];
    this.#world.tell('start', as, periodMs, uid, cgroup, command, ...args);
  }

  async #stop(indexes: Iterable<number>): Promise<void> {
    const stopping = [...indexes];
    for (const index of stopping) this.#world.tell('stop', index);
    for (const index of stopping) await this.#world.told(`stopped ${index}`);
  }

  async run(): Promise<Run> {
    if (this.#withDaemon) this.#daemon = await this.#world.startDaemon();
    const acting = [...this.#cast.keys()].filter((index) => !this.#of(index).row.isIdle);
    for (const index of acting) this.#start(index);
    await this.#untilAllHaveTried(acting);
    for (const { afterMs, event } of this.#schedule.steps) {
      await delay(afterMs);
      this.#eventsUs.push(nowUs());
      await this.#happen(event);
    }
    await this.#untilAllHaveTried(acting);
    await this.#end();
    const { attempts, packets } = this.#world;
    return {
      schedule: this.#schedule,
      attempts,
      packets,
      away: this.#away,
      down: this.#down,
      touched: this.#touched,
      eventsUs: this.#eventsUs,
    };
  }

  /** In the era that they are in. */
  async #untilAllHaveTried(rows: readonly number[]): Promise<void> {
    await until('everybody to have tried once', () => {
      const tried = new Set(this.#world.attempts.map(({ row, era }) => `${row}.${era}`));
      return rows.every((row) => tried.has(`${row}.${this.#of(row).era}`));
    });
    await delay(QUIET_MS);
  }

  async #end(): Promise<void> {
    const isKeeping = (index: number): boolean => this.#of(index).row.style === 'keep';
    const all = [...this.#cast.keys()].filter((index) => !this.#of(index).row.isIdle);
    await this.#stop([...all.filter((index) => !isKeeping(index)), ...this.#besides]);
    await this.#world.nothingWaits();
    const keeping = all.filter(isKeeping);
    for (const index of keeping) this.#world.tell('stop', index);
    this.#world.killAll();
    for (const index of keeping) await this.#world.told(`stopped ${index}`);
    if (this.#daemon?.ending !== undefined) throw new Error(`the daemon ended\n${this.#daemon.output}`);
    await this.#world.endCounting();
    if (this.#world.complaints !== '') throw new Error(this.#world.complaints);
  }

  async #happen(event: ScheduleEvent): Promise<void> {
    switch (event.kind) {
      case 'kill':
      case 'stop':
        return this.#isAway(async (daemon) => {
          if (event.kind === 'kill') await daemon.kill();
          else await daemon.stop();
          for (const touch of event.meanwhile) await this.#touch(touch);
          await delay(event.awayMs);
          return this.#world.startDaemon();
        }, event.meanwhile);
      case 'replace':
        return this.#isAway(async (before) => {
          const next = await this.#world.startDaemon('--replace');
          await before.ended();
          return next;
        });
      case 'reload':
        return this.#reload(event.changes);
      case 'touch':
        return this.#touch(event.touch);
      case 'crowd':
        // One at a time.
        await this.#stop(this.#besides.delete(CROWD) ? [CROWD] : []);
        this.#besides.add(CROWD);
        return this.#start(event.row, 'crowd', CROWD);
      case 'uplink':
        return this.#lose(event.uplink, event.downMs);
      case 'flood':
        return this.#flood(event.isStrange);
    }
  }

  /** `meanwhile`: happens without a daemon, too. */
  async #isAway(happens: (daemon: Daemon) => Promise<Daemon>, meanwhile: readonly Touch[] = []): Promise<void> {
    if (this.#daemon === undefined) {
      for (const touch of meanwhile) await this.#touch(touch);
      return;
    }
    const fromUs = nowUs();
    this.#daemon = await happens(this.#daemon);
    this.#away.push({ fromUs, toUs: nowUs() });
  }

  async #reload(changes: readonly { readonly row: number; readonly policy: RowPolicy }[]): Promise<void> {
    const indexes = changes.map(({ row }) => row);
    await this.#stop([...indexes, ...(this.#besides.delete(CROWD) ? [CROWD] : [])]);
    for (const { row, policy } of changes) {
      const cast = this.#of(row);
      cast.policy = policy;
      cast.era += 1;
      this.#writePolicy(row);
    }
    if (changes.length === 0) for (const index of this.#cast.keys()) this.#writePolicy(index);
    if (this.#daemon !== undefined) await this.#world.reload();
    for (const index of indexes) this.#start(index);
  }

  async #touch({ kind, row: index }: Touch): Promise<void> {
    const cast = this.#of(index);
    const { row, named } = cast;
    cast.made += 1;
    this.#touched.set(index, Math.min(nowUs(), this.#touched.get(index) ?? Number.POSITIVE_INFINITY));
    switch (kind) {
      case 'upgrade':
        if (cast.command === named || row.style === 'keep') {
          this.#world.replaceProgram(fileBehind(cast));
          break;
        }
        // Its other name is of the file before.
        await this.#stop([index]);
        this.#world.replaceProgram(fileBehind(cast));
        cast.command = named;
        return this.#start(index);
      case 'switch':
        cast.version = cast.version === 1 ? 2 : 1;
        if (row.path === 'directory-link') this.#world.link(`v${cast.version}`, dirname(named));
        else this.#world.link(`${basename(named)}-${cast.version}`, named);
        break;
      case 'chmod':
        chmodSync(named, 0o700);
        chmodSync(named, 0o755);
        break;
      case 'hard-link':
        // Another name of the file is the file.
        await this.#stop(row.style === 'keep' ? [] : [index]);
        cast.command = `${named}.link`;
        rmSync(cast.command, { force: true });
        linkSync(named, cast.command);
        if (row.style === 'keep') break;
        return this.#start(index);
      case 'new-cgroup':
        if (row.style === 'keep') writeFileSync(`${cast.cgroup}/cgroup.kill`, '1');
        await this.#stop([index]);
        cast.cgroup = this.#world.makeCgroup(`${cast.cgroupName}/n${cast.made}`);
        return this.#start(index);
      case 'cgroup-again':
        this.#world.tell('again', index);
        return this.#world.told(`again ${index}`);
    }
    if (row.style !== 'keep') this.#world.tell('now', index);
  }

  async #lose(uplink: UplinkName, downMs: number): Promise<void> {
    if (this.#daemon === undefined) return;
    const fromUs = nowUs();
    this.#world.setUplink(uplink, 'down');
    await delay(downMs);
    this.#world.setUplink(uplink, 'up');
    await until(`${uplink} to be up`, async () =>
      (await this.#world.status()).uplinks.some(({ name, up, v4, v6 }) => name === uplink && up && v4 && v6),
    );
    // What is said to be up is in force after the next round.
    await this.#world.reload();
    this.#down.push({ uplink, fromUs, toUs: nowUs() });
  }

  #flood(isStrange: boolean): void {
    const program = isStrange ? this.#strange : this.#other;
    const args = [0, 0, isStrange ? 'strange' : 'flood', 'udp', FLOODED[4], 9, 0, this.#other];
    const cgroup = this.#world.makeCgroup('plain');
    this.#world.tell('start', FLOOD, 0, NOBODY_UID, cgroup, program, ...args);
    this.#besides.add(FLOOD);
  }
}

/** The file that its policy means, where the links lead now. */
function fileBehind({ row, named, version }: Cast): string {
  switch (row.path) {
    case 'plain':
      return named;
    case 'directory-link':
      return join(dirname(dirname(named)), `v${version}`, basename(named));
    case 'file-link':
      return `${named}-${version}`;
  }
}
