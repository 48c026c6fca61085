/** The lab's world with an internet that answers everywhere, a policy for each sender, and the real daemon. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { WatchEvent } from '../../src/api/event.ts';
import { openClient } from '../../src/cli/client.ts';
import { labCgroupPath, makeLabCgroup } from '../../src/lab/cgroup.ts';
import { labFiles } from '../../src/lab/lab-state.ts';
import { inDevice } from '../../src/lab/namespace-command.ts';
import type { Daemon } from '../netns/support/daemon.ts';
import { Device } from '../netns/support/device.ts';
import { SenderBuilder } from './build-sender.ts';
import { type Ended, EXIT_ABSENT, ended } from './ended.ts';
import { addressOf, buildInternet, PORT } from './internet.ts';
import { laidOver } from './lay-over.ts';
import { ownerOfMark } from './mark-owner.ts';
import { Reference } from './reference.ts';
import type { Scenario, Stage } from './scenario.ts';
import {
  type Arrived,
  type DeadScore,
  hasArrived,
  type Score,
  type Share,
  score,
  scoreWithoutDaemon,
} from './score/score.ts';

const ALLOW_ALL = 'rules:\n  - { to: "*", do: allow }\notherwise: deny';
/** Beyond this nothing more is waited for: verdicts take less than a tenth of it. */
const ARRIVAL_TIMEOUT_MS = 6_000;
/** Beyond this a sender that stays need not. */
const STAY_TIMEOUT_MS = 6_000;
const COMMAND_TIMEOUT_MS = 60_000;
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 20;

export interface WorldOptions {
  /** Part of the namespaces' names. */
  readonly name: string;
  readonly scenarios: readonly Scenario[];
  /** Tiers that the daemon is to do without, by commas: `bpf,fanotify`. */
  readonly without?: string;
  /** How much longer everything takes than on a real machine; 1. */
  readonly patience?: number;
}

export interface ScenarioResult extends Score {
  readonly left: readonly Share[];
  readonly arrived: Arrived;
  /** What the daemon said of its flows, each text once. */
  readonly said: readonly string[];
  readonly outcome: Ended;
}

export class World implements AsyncDisposable {
  readonly device: Device;
  readonly #patience: number;
  readonly #stages: ReadonlyMap<string, Stage>;
  readonly #said = new Map<string, Set<string>>();
  /** Addresses that the daemon was asked about. */
  readonly #children: ChildProcess[] = [];
  readonly #holds: Writable[] = [];
  readonly #watching = new AbortController();
  #watch: Promise<void> = Promise.resolve();
  #reference: Reference | undefined;
  #daemon: Daemon | undefined;
  #apps: ReadonlyMap<number, string> = new Map();
  /** Why a file was refused, by application. */
  #refused: ReadonlyMap<string, string> = new Map();

  private constructor(device: Device, { scenarios, patience = 1 }: WorldOptions) {
    this.device = device;
    this.#patience = patience;
    this.#stages = new Map(scenarios.map((scenario, i) => [scenario.name, this.#stage(scenario, i + 1)]));
  }

  static async build(options: WorldOptions): Promise<World> {
    const { name, without = '' } = options;
    const world = new World(await Device.build(name), options);
    try {
      await buildInternet(world.device);
      world.#reference = await Reference.start(world.device, PORT);
      await world.#buildPrograms(new SenderBuilder());
      for (const stage of world.#stages.values()) await stage.scenario.prepare?.(stage);
      for (const stage of world.#stages.values()) world.#writePolicies(stage);
      await world.#startDaemon(without);
      await world.#listen();
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watching.abort();
    await this.#watch;
    for (const child of this.#children) child.kill('SIGKILL');
    await this.#reference?.[Symbol.asyncDispose]();
    await this.device[Symbol.asyncDispose]();
  }

  stage(name: string): Stage {
    const stage = this.#stages.get(name);
    if (stage === undefined) throw new Error(`there is no scenario ${name}`);
    return stage;
  }

  get reference(): Reference {
    if (this.#reference === undefined) throw new Error('nobody counts yet');
    return this.#reference;
  }

  /** Runs a command on the device as the scenario says: its user, its cgroup. */
  run(stage: Stage, command: readonly string[]): Promise<Ended> {
    return ended(this.#spawn(stage, command));
  }

  /** Starts a command that has said "ready" when this resolves. It ends with the world at the latest. */
  async start(stage: Stage, command: readonly string[]): Promise<ChildProcess> {
    const child = this.#spawn(stage, command);
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      child.once('close', (code) => reject(new Error(`${command[0]} ended with ${code}`)));
    });
    return child;
  }

  /** Runs a scenario, waits for what it sent to arrive, and compares. */
  async perform(name: string): Promise<ScenarioResult> {
    const stage = this.stage(name);
    const { scenario, program, args } = stage;
    const running = scenario.run?.(stage) ?? this.run(stage, [program, ...args(scenario.more?.(stage))]);
    await this.#arrivedWhile(stage, running);
    this.#letEnd();
    const outcome = await running;
    const arrived = outcome.exitCode === EXIT_ABSENT ? { count: 0, bytes: 0 } : await this.#arrived(stage);
    const left = await this.#left(stage);
    const said = [...(this.#said.get(stage.address) ?? [])];
    return { ...this.#score(stage, outcome, left, arrived), left, arrived, said, outcome };
  }

  /** From here on `performAgain`. Programs whose files are gone get new ones, which nobody knows. */
  async killDaemon(): Promise<void> {
    this.#watching.abort();
    await this.#watch;
    await this.#daemon?.kill();
    // What was built first may be among them.
    await this.#buildPrograms(new SenderBuilder(), (path) => !existsSync(path));
  }

  /** Sends once more what was sent before the daemon was killed, and compares what came of this time alone. */
  async performAgain(name: string): Promise<DeadScore & { readonly outcome: Ended }> {
    const stage = this.stage(name);
    const { scenario, program, args } = stage;
    const [arrivedBefore, leftBefore] = [await this.#look(stage), await this.#left(stage)];
    const outcome = await this.#endedSoon(
      scenario.run?.(stage) ?? this.run(stage, [program, ...args(scenario.more?.(stage))]),
    );
    if (outcome.exitCode === EXIT_ABSENT) return { verdict: 'NOT HERE', note: outcome.stdout.trim(), outcome };
    const left = sharesSince(leftBefore, await this.#left(stage));
    const hasLeft = left.length > 0 || 'notGoverned' in (scenario.expected ?? {});
    const all = hasLeft ? await this.#arrivedSince(stage, arrivedBefore) : await this.#look(stage);
    const arrived = since(arrivedBefore, all);
    const result = scoreWithoutDaemon(scenario.expected ?? { app: name }, scenario.sends, left, arrived);
    return { ...result, outcome };
  }

  /** What is refused says so, or nothing: those that stay for an answer need not. */
  async #endedSoon(running: Promise<Ended>): Promise<Ended> {
    const soon = delay(STAY_TIMEOUT_MS * this.#patience, undefined, { ref: false });
    await Promise.race([running.catch(() => undefined), soon]);
    this.#letEnd();
    return running.catch((error: unknown) => ({ exitCode: -1, stdout: '', stderr: String(error) }));
  }

  async #arrivedSince(stage: Stage, before: Arrived): Promise<Arrived> {
    const deadlineMs = performance.now() + ARRIVAL_TIMEOUT_MS * this.#patience;
    let arrived = await this.#look(stage);
    while (!hasArrived(stage.scenario.sends, since(before, arrived)) && performance.now() < deadlineMs)
      arrived = await this.#look(stage);
    return arrived;
  }

  #score({ scenario }: Stage, outcome: Ended, left: readonly Share[], arrived: Arrived): Score {
    if (outcome.exitCode === EXIT_ABSENT) return { verdict: 'NOT HERE', note: outcome.stdout.trim() };
    const result = score(scenario.expected ?? { app: scenario.name }, scenario.sends, left, arrived);
    const refused = this.#refused.get(scenario.name);
    return refused === undefined ? result : { ...result, note: `${result.note}; its policy is refused: ${refused}` };
  }

  async #arrived(stage: Stage): Promise<Arrived> {
    const deadlineMs = performance.now() + ARRIVAL_TIMEOUT_MS * this.#patience;
    let arrived = await this.#look(stage);
    while (!hasArrived(stage.scenario.sends, arrived) && performance.now() < deadlineMs)
      arrived = await this.#look(stage);
    return arrived;
  }

  async #look({ scenario: { sends, by }, address }: Stage): Promise<Arrived> {
    if (sends.unit === 'connections') return this.reference.connections(address);
    const packets = await this.reference.packets(address);
    if (by !== undefined) return packets[by];
    const all = Object.values(packets);
    return {
      count: all.reduce((sum, { count }) => sum + count, 0),
      bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }

  async #left({ address }: Stage): Promise<readonly Share[]> {
    const packets = new Map<string, Share>();
    for (const [mark, count] of await this.reference.left(address)) {
      const owner = ownerOfMark(mark, this.#apps);
      packets.set(owner.who, { ...owner, packets: (packets.get(owner.who)?.packets ?? 0) + count });
    }
    return [...packets.values()];
  }

  /** Returns when it has ended, or when all of it has arrived. */
  async #arrivedWhile(stage: Stage, running: Promise<unknown>): Promise<void> {
    let isRunning = true;
    const over = (): void => {
      isRunning = false;
    };
    running.then(over, over);
    const deadlineMs = performance.now() + STAY_TIMEOUT_MS * this.#patience;
    while (isRunning && performance.now() < deadlineMs && !hasArrived(stage.scenario.sends, await this.#look(stage)));
  }

  #letEnd(): void {
    for (const hold of this.#holds.splice(0)) hold.end();
  }

  /** Descriptor 3 keeps those that stay until `#letEnd`. */
  #spawn({ scenario, cgroup }: Stage, command: readonly string[]): ChildProcess {
    const [file = '', ...args] = this.#entry(scenario, cgroup, command);
    const child = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      timeout: COMMAND_TIMEOUT_MS * this.#patience,
    });
    const hold = child.stdio[3];
    if (hold instanceof Writable) this.#holds.push(hold.on('error', () => undefined));
    this.#children.push(child);
    return child;
  }

  #entry({ uid, inCgroup }: Scenario, cgroup: string, command: readonly string[]): readonly string[] {
    const name = cgroup.slice(cgroup.lastIndexOf('/') + 1);
    const cgroupDir = inCgroup === true ? makeLabCgroup(this.device.id, name) : undefined;
    const whole = uid === undefined ? command : ['setpriv', '--reuid', uid, '--clear-groups', ...command];
    return inDevice(this.device.id, this.device.stateDir, whole, { ...(cgroupDir !== undefined && { cgroupDir }) });
  }

  async #startDaemon(without: string): Promise<void> {
    const wrap = (command: readonly string[]): readonly string[] =>
      this.#withStandIns(['env', `POINTSMAN_WITHOUT=${without}`, ...command]);
    const daemon = this.device.spawnDaemon({ wrap });
    this.#daemon = daemon;
    const deadlineMs = performance.now() + START_TIMEOUT_MS * this.#patience;
    const isUp = (): Promise<boolean> =>
      this.device.status().then(
        ({ state }) => state !== 'starting',
        () => false,
      );
    while (!(await isUp())) {
      if (daemon.ending !== undefined || performance.now() > deadlineMs)
        throw new Error(`the daemon did not come up: ${daemon.ending ?? 'it takes too long'}\n${daemon.output}`);
      await delay(POLL_MS);
    }
  }

  #withStandIns(command: readonly string[]): readonly string[] {
    const standIns = [...this.#stages.values()].flatMap(({ scenario: { companions = [] }, companion }) =>
      companions.flatMap(({ name, standsAt }) =>
        standsAt === undefined ? [] : [[companion(name), standsAt] as const],
      ),
    );
    return standIns
      .filter(([, path]) => existsSync(path))
      .reduce((inner, [file, path]) => laidOver(file, path, inner), command);
  }

  async #buildPrograms(builder: SenderBuilder, isWanted: (path: string) => boolean = () => true): Promise<void> {
    for (const { scenario, program, companion } of this.#stages.values()) {
      if (scenario.source !== undefined && isWanted(program))
        await builder.build(scenario.source, program, scenario.isStatic);
      for (const { name, source } of scenario.companions ?? [])
        if (isWanted(companion(name))) await builder.build(source, companion(name));
    }
  }

  #writePolicies(stage: Stage): void {
    const { scenario, program, companion } = stage;
    const { name, match, policy = ALLOW_ALL, companions = [] } = scenario;
    if (match !== 'none') this.device.writePolicy(name, match?.(stage) ?? `exec: ${program}`, policy);
    for (const { name: other, isMatched } of companions)
      if (isMatched === true) this.device.writePolicy(`${name}-${other}`, `exec: ${companion(other)}`, ALLOW_ALL);
  }

  async #listen(): Promise<void> {
    const { apps, diagnostics } = await this.device.status();
    this.#apps = new Map(apps.map(({ app, id }) => [id, app]));
    const refused = diagnostics.filter(({ severity }) => severity === 'error');
    this.#refused = new Map(
      refused.map(({ file, code }) => [file.slice(file.lastIndexOf('/') + 1, -'.yaml'.length), code] as const),
    );
    const client = openClient(labFiles(this.device.stateDir).socket);
    const hear = (line: string): void => {
      const event = JSON.parse(line) as WatchEvent;
      if (event.kind !== 'decision') return;
      const address = event.destination.replace(/^\[(.*)\]:\d+$|^([^:]*):\d+$/, '$1$2');
      const texts = this.#said.get(address) ?? new Set();
      texts.add(`${event.app ?? event.executable ?? 'nobody'}: ${event.verdict}, ${event.reason}`);
      this.#said.set(address, texts);
    };
    this.#watch = client.lines('/v1/watch', hear, this.#watching.signal);
  }

  #stage(scenario: Scenario, number: number): Stage {
    const bin = this.device.path('bin');
    const address = addressOf(scenario.to ?? 'v4', number);
    const count = scenario.count ?? (scenario.sends.unit === 'packets' ? scenario.sends.count : 1);
    return {
      scenario,
      world: this,
      program: `${bin}/${scenario.name}`,
      companion: (name) => `${bin}/${scenario.name}.d/${name}`,
      address,
      cgroup: labCgroupPath(this.device.id, scenario.name),
      args: (more = [], to = address) => [to, `${PORT}`, `${count}`, ...more, ...(scenario.isBrief ? [] : ['stay'])],
    };
  }
}

const since = (before: Arrived, now: Arrived): Arrived => ({
  count: now.count - before.count,
  bytes: now.bytes - before.bytes,
});

function sharesSince(before: readonly Share[], now: readonly Share[]): readonly Share[] {
  const counted = now.map((share) => {
    const old = before.find(({ who }) => who === share.who)?.packets ?? 0;
    return { ...share, packets: share.packets - old };
  });
  return counted.filter(({ packets }) => packets > 0);
}
