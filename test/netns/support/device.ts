/** The lab's world for tests that start, kill and restart the daemon themselves. */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { ExplainQuery, Explanation } from '../../../src/api/explanation.ts';
import type { Status } from '../../../src/api/status.ts';
import { openClient } from '../../../src/cli/client.ts';
import { labDown } from '../../../src/lab/lab-down.ts';
import { labFiles } from '../../../src/lab/lab-state.ts';
import { labUp } from '../../../src/lab/lab-up.ts';
import { inDevice, inNamespace } from '../../../src/lab/namespace-command.ts';
import { collect, type Outcome } from '../../../src/lab/run-tool.ts';
import { readSeenLog, type Seen, seenLogEnd } from '../../../src/lab/server-log.ts';
import type { NamespacePart } from '../../../src/lab/world.ts';
import { POINTSMAN } from './build-program.ts';
import { Daemon } from './daemon.ts';
import { readableCopy, readableProgram } from './readable-copy.ts';
import { until } from './until.ts';

const COMMAND_TIMEOUT_MS = 120_000;
const PYTHON = '/usr/bin/python3';

/** Where files stand below the daemon's root. */
export const POLICIES = 'etc/pointsman/policies';
export const UPLINKS = 'etc/pointsman/uplinks';
export const PACKAGE_POLICIES = 'usr/share/pointsman/policies';

export interface StartOptions {
  readonly args?: readonly string[];
  /** A copy of it; the checkout's unless stated. */
  readonly program?: readonly string[];
  /** Prefix of the command, for a mount namespace or another user. */
  readonly wrap?: (command: readonly string[]) => readonly string[];
}

export class Device implements AsyncDisposable {
  readonly id: string;
  readonly stateDir: string;
  readonly rootDir: string;
  readonly #parentDir: string;
  readonly #daemons: Daemon[] = [];

  private constructor(id: string) {
    this.id = id;
    this.#parentDir = mkdtempSync(join(tmpdir(), 'pml-'));
    // Tests of missing rights look at it as somebody else.
    chmodSync(this.#parentDir, 0o755);
    this.stateDir = join(this.#parentDir, 's');
    this.rootDir = labFiles(this.stateDir).rootDir;
  }

  /**
   * A device with the uplinks wifi and cellular, without policies and without a daemon; the lab's vpn is not there.
   * Nobody asks whether the uplinks work: tests count what programs send.
   * `name` is part of its namespaces' names.
   */
  static async build(name: string): Promise<Device> {
    const device = new Device(`${name}${process.pid}`);
    const policiesDir = join(device.#parentDir, 'no-policies');
    mkdirSync(policiesDir);
    await labUp({ id: device.id, stateDir: device.stateDir, policiesDir, withDaemon: false });
    device.remove(`${UPLINKS}/vpn.yaml`);
    await device.must('device', ['ip', 'link', 'delete', 'vpn0']);
    for (const name of ['wifi', 'cellular']) {
      const file = `${UPLINKS}/${name}.yaml`;
      device.write(file, `${readFileSync(device.path(file), 'utf8')}probe: off\n`);
    }
    return device;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const daemon of this.#daemons) await daemon.kill();
    await labDown({ id: this.id, stateDir: this.stateDir });
    rmSync(this.#parentDir, { recursive: true, force: true });
  }

  path(below: string): string {
    return join(this.rootDir, below);
  }

  write(below: string, text: string): void {
    mkdirSync(dirname(this.path(below)), { recursive: true });
    writeFileSync(this.path(below), text);
  }

  /** `body` is what stands below `match`. */
  writePolicy(app: string, match: string, body: string): void {
    this.write(`${POLICIES}/${app}.yaml`, `pointsman: 1\napp: ${app}\nmatch:\n  - ${match}\n${body}\n`);
  }

  remove(below: string): void {
    rmSync(this.path(below), { recursive: true, force: true });
  }

  /** An interpreter with an executable of its own: one application of its own. */
  copyOfPython(name: string): string {
    const path = join(this.#parentDir, 'bin', name);
    cpSync(PYTHON, path, { dereference: true });
    return path;
  }

  /** The program, as any user can start it. */
  readableProgram(): readonly string[] {
    return readableProgram(join(this.#parentDir, 'copies', 'program'));
  }

  /** A file of the checkout that programs of any user can read. */
  readableCopy(file: string): string {
    return readableCopy(file, join(this.#parentDir, 'copies', basename(file)));
  }

  /** Command line that runs in the device. Every step execs: the pid of the child is the program's. */
  inside(command: readonly string[]): readonly string[] {
    return inDevice(this.id, this.stateDir, command);
  }

  run(command: readonly string[], input?: string): Promise<Outcome> {
    return collect(this.inside(command), {
      timeoutMs: COMMAND_TIMEOUT_MS,
      ...(input === undefined ? {} : { input }),
    });
  }

  /** Stdout of a command that must succeed, in any part of the world. */
  async must(part: NamespacePart, command: readonly string[], input = ''): Promise<string> {
    const outcome = await collect(inNamespace(this.id, part, command), { timeoutMs: COMMAND_TIMEOUT_MS, input });
    if (outcome.exitCode === 0) return outcome.stdout;
    throw new Error(`${command.join(' ')}: exit code ${outcome.exitCode}\n${outcome.stderr}`);
  }

  /** `pointsman ARGS --root ROOT` in the device. */
  pointsman(...args: readonly string[]): Promise<Outcome> {
    return this.run(this.#command(args));
  }

  /** The same with variables of the environment. */
  pointsmanIn(env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Outcome> {
    const set = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    return this.run(['env', ...set, ...this.#command(args)]);
  }

  /** A daemon that has not necessarily got anywhere yet. */
  spawnDaemon({ args = [], program = POINTSMAN, wrap = (command) => command }: StartOptions = {}): Daemon {
    const daemon = Daemon.spawn(this.inside(wrap(this.#command(['up', ...args], program))));
    this.#daemons.push(daemon);
    return daemon;
  }

  /** A daemon that answers and has left `starting`. */
  async startDaemon(options: StartOptions = {}): Promise<Daemon> {
    const daemon = this.spawnDaemon(options);
    await until('the daemon to be up', async () => {
      if (daemon.ending !== undefined) throw new Error(`the daemon ended: ${daemon.ending}\n${daemon.output}`);
      return (await this.status()).state !== 'starting';
    }).catch((error: unknown) => {
      throw new Error(`the daemon did not come up\n${daemon.output}`, { cause: error });
    });
    return daemon;
  }

  status(): Promise<Status> {
    return openClient(labFiles(this.stateDir).socket).get<Status>('/v1/status');
  }

  explain(query: ExplainQuery): Promise<Explanation> {
    return openClient(labFiles(this.stateDir).socket).post<Explanation>('/v1/explain', query);
  }

  untilStatus(what: string, holds: (status: Status) => boolean): Promise<Status> {
    return until(what, async () => {
      const status = await this.status();
      return holds(status) && status;
    });
  }

  untilUplink(name: string, isUp: boolean): Promise<Status> {
    return this.untilStatus(`uplink ${name} ${isUp ? 'up' : 'down'}`, ({ uplinks }) =>
      uplinks.some((uplink) => uplink.name === name && uplink.up === isUp),
    );
  }

  /** Place in the servers' log to read on from. */
  seenEnd(): number {
    return seenLogEnd(labFiles(this.stateDir).seenLog);
  }

  /** What the servers on the other side saw since. */
  seenSince(offset: number): readonly Seen[] {
    return readSeenLog(labFiles(this.stateDir).seenLog, offset);
  }

  #command(args: readonly string[], program = POINTSMAN): readonly string[] {
    return [...program, ...args, '--root', this.rootDir];
  }
}
