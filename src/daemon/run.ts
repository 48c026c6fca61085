/** The daemon's composition root: the only place that constructs. */
import { mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Background } from '../kernel/background.ts';
import { openCgroupTree } from '../kernel/cgroup.ts';
import { ignoreSignals } from '../kernel/ignored-signals.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { networkNamespaceName } from '../kernel/network-namespace-name.ts';
import { isStopped } from '../kernel/stopped-process.ts';
import { systemClock } from '../kernel/system-clock.ts';
import { printable } from '../net/printable.ts';
import { AppIds } from '../store/app-ids.ts';
import { forgetRuleset } from '../store/kept-ruleset.ts';
import { type Paths, pathsFor } from '../store/paths.ts';
import { PolicyFiles } from '../store/policy-files.ts';
import { tookEmptyFilesForMasks } from '../store/state-format.ts';
import { removeTrial } from '../store/trial-files.ts';
import { Containers } from '../watch/containers.ts';
import { packageShippers } from '../watch/package-shippers.ts';
import { Packages } from '../watch/packages.ts';
import { Daemon } from './daemon.ts';
import { Departure } from './departure.ts';
import { Faults } from './faults.ts';
import { openIdentityTiers } from './identity-tiers.ts';
import { type InstanceLock, takeInstanceLock } from './instance-lock.ts';
import { journalLine } from './journal-line.ts';
import { lastWords } from './last-words.ts';
import { pinsToUse } from './pins-to-use.ts';
import { openKernel, requirePrivilege, startErrorOf } from './preconditions.ts';
import { type Removal, removeForGood } from './removal.ts';
import { listenForSignals } from './signals.ts';
import { START_EXIT, StartError } from './start-error.ts';
import { StartWatch } from './start-watch.ts';
import { Supervisor, supervisionOf } from './supervisor.ts';

export interface RunOptions {
  /** Etc, var and run are below it; `/` unless stated. */
  readonly root?: string;
  /** Everything is removed again, and the daemon ends, unless `POST /v1/confirm` comes within this time. */
  readonly confirmMs?: number;
  /** Policies stay in force when it stops, unless it is told to remove them: as under a supervisor, which starts it again. */
  readonly keep?: boolean;
  /** Asks the daemon that runs to leave; resolves when it has. */
  readonly takeOver?: () => Promise<void>;
  readonly version: string;
  /** A line for the journal; standard error unless stated. */
  readonly log?: (line: string) => void;
}

const HAND_OVER_MS = 10_000;
const HAND_OVER_LOOK_MS = 20;
const STATE_DIR_MODE = 0o755;
/** Lines of the log; `status` has all. */
const MAX_OLD_MASKS = 1000;

/** Enforces until it is told to stop; resolves with the exit code: 0, or START_EXIT with a line in the log that says why; not confirmed is `failed`. */
export async function runDaemon(options: RunOptions): Promise<number> {
  const write = options.log ?? ((line: string) => process.stderr.write(`${line}\n`));
  const log = (text: string): void => write(journalLine(text));
  try {
    const { left, isUnconfirmed } = await enforceUntilStopped(options, log);
    log(lastWords(left));
    return isUnconfirmed ? START_EXIT.failed : 0;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    log(`pointsman: ${error.message}`);
    return error.exitCode;
  }
}

interface Ended {
  /** What there is in the kernel. */
  readonly left: 'kept' | Removal;
  readonly isUnconfirmed: boolean;
}

async function enforceUntilStopped(options: RunOptions, log: (line: string) => void): Promise<Ended> {
  requirePrivilege();
  ignoreSignals();
  const faults = new Faults({ log, isDebug: (process.env.POINTSMAN_DEBUG ?? '') !== '' });
  const background = new Background((fault) => faults.hear(fault));
  using _lastResort = hearWhatNobodyOwns(background);
  // sd_notify(3): a supervisor says so.
  const isSupervised = options.keep === true || (process.env.NOTIFY_SOCKET ?? '') !== '';
  using steps = new StartWatch({ background });
  await options.takeOver?.();
  // Before anything that a daemon that runs has: the next one takes over what it finds.
  await using lock = await takeLock(background, options.takeOver === undefined ? 0 : HAND_OVER_MS);
  steps.at('what an earlier daemon has left');
  if (lock.kind === 'taken') {
    throw new StartError(
      'alreadyRunning',
      `a daemon is running already in this network namespace (process ${lock.pid})${isStopped(lock.pid) ? `, and is stopped; let it go on: sudo kill -CONT ${lock.pid}` : ''}`,
    );
  }
  if (lock.kind === 'squatted') {
    log(
      `pointsman: process ${lock.pid} of user ${lock.uid} occupies the daemon's lock; ignoring it, for it is not root's`,
    );
  }
  const root = resolve(options.root ?? '/');
  const paths = pathsFor(root);
  if (await isAnswered(paths.socketPath)) {
    const message = `a daemon of another network namespace uses ${root}: its state and its control socket are not shared`;
    throw new StartError('alreadyRunning', `${message}; give this one a directory of its own with --root`);
  }
  log(`pointsman: starting for ${networkNamespaceName()}${root === '/' ? '' : `, with the files below ${root}`}`);
  makeStateDir(paths);
  // Of a daemon that was killed while somebody tried something.
  removeTrial(paths);
  const ids = new AppIds(paths.ids);
  const cgroups = openCgroupTree();
  const pins = await pinsToUse(root, ids);
  steps.at('the kernel to take the programs that tell who makes a socket (BPF)');
  using identity = openIdentityTiers(cgroups, log, background, pins);
  steps.at('nft, which is asked what the kernel can do');
  using opened = await openKernel(typeof identity.marks === 'string' ? undefined : identity.marks);
  const { kernel, queue } = opened;
  const departure = new Departure(log);
  let running: Daemon | undefined;
  /** Ends the process; whoever has the ground taken from under it meanwhile says nothing. */
  let finishing: Promise<void> | undefined;
  // From before the start: it takes seconds, and what it has done by then is to be taken out as well.
  using _signals = listenForSignals({
    background,
    isSupervised,
    stop: (signal) => departure.ask(`signal ${signal}`, isSupervised ? 'keep' : 'remove'),
    reload: () => running?.reload(),
    finish: () => {
      finishing ??= finish({ kernel, paths, departure, log });
      return finishing;
    },
  });
  const tookEmptyForMasks = tookEmptyFilesForMasks(paths);
  const files = new PolicyFiles(paths, { shippers: packageShippers(paths) });
  const starting = Daemon.start({
    background,
    faults,
    departure,
    steps,
    kernel,
    machine: { routing: kernel.routing, tunnels: kernel.tunnels, cgroups, queue, containers: new Containers() },
    paths,
    root,
    files,
    ids,
    packages: new Packages(),
    identity,
    version: options.version,
    ...(options.confirmMs !== undefined && { confirmMs: options.confirmMs }),
    log,
    clock: systemClock,
  });
  const daemon = await starting.catch(async (error: unknown) => {
    await finishing;
    throw error;
  });
  steps[Symbol.dispose]();
  running = daemon;
  using supervisor = new Supervisor({
    background,
    supervision: supervisionOf(process.env, process.pid),
    beats: () => daemon.verdictBeats,
    log,
  });
  supervisor.ready();
  if (tookEmptyForMasks) listOldMasks(files, log);
  const { isUnconfirmed = false } = await departure.asked;
  supervisor.stopping();
  await daemon[Symbol.asyncDispose]();
  await finishing;
  if (daemon.left !== 'kept') forgetRuleset(paths.runDir);
  return { left: daemon.left, isUnconfirmed };
}

/** The one that leaves gives up its lock a moment after its socket. */
async function takeLock(background: Background, withinMs: number): Promise<InstanceLock> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    const lock = await takeInstanceLock(background);
    if (lock.kind !== 'taken' || performance.now() >= deadlineMs) return lock;
    await delay(HAND_OVER_LOOK_MS);
  }
}

interface Finishing {
  readonly kernel: Kernel;
  readonly paths: Paths;
  readonly departure: Departure;
  readonly log: (line: string) => void;
}

/** Ends the process without waiting for whatever is under way, and still leaves nothing half removed. */
async function finish({ kernel, paths, departure, log }: Finishing): Promise<void> {
  log('pointsman: stopping at once');
  const left = departure.leaving === 'keep' ? 'kept' : await removeForGood(kernel);
  if (left !== 'kept') forgetRuleset(paths.runDir);
  rmSync(paths.socketPath, { force: true });
  log(lastWords(left));
  process.exit(left === 'kept' || left.failures.length === 0 ? 0 : START_EXIT.failed);
}

/** Nothing but a start after the upgrade can tell a mask of before from a mistake. */
function listOldMasks({ loaded }: PolicyFiles, log: (line: string) => void): void {
  const empty = loaded?.diagnostics.filter(({ code }) => code === 'empty-file') ?? [];
  for (const { file } of empty.slice(0, MAX_OLD_MASKS))
    log(
      printable(
        `pointsman: ${file} has no content: versions before this one took that for a mask, this one takes it for a broken file; to keep it a mask, write mask: true into it`,
      ),
    );
}

/**
 * What gets past every owner. Node would end the process: then all that has to be asked hangs or, by `whenAway`, is let go, which is
 * worse than anything that a handler has left undone.
 */
function hearWhatNobodyOwns({ hear }: Background): Disposable {
  process.on('uncaughtException', hear).on('unhandledRejection', hear);
  return {
    [Symbol.dispose]: () => {
      process.off('uncaughtException', hear).off('unhandledRejection', hear);
    },
  };
}

/** Whether somebody listens at the path. In this network namespace nobody else can, who holds the lock knows. */
function isAnswered(socketPath: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => done(false));
  });
}

function makeStateDir({ stateDir }: Paths): void {
  try {
    mkdirSync(stateDir, { recursive: true, mode: STATE_DIR_MODE });
  } catch (error) {
    // A read-only disk costs what outlives a run, which is reported with the files; enforcement goes on.
    if (!(error instanceof Error && 'code' in error)) throw startErrorOf(error, 'failed');
  }
}
