/** The running daemon: its parts, who tells whom, and the order in which they start and end. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Background } from '../kernel/background.ts';
import { fileLooks } from '../kernel/file-looks.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Address } from '../net/address.ts';
import { type Clock, type MonotonicMs, wallAt } from '../net/clock.ts';
import { counted } from '../net/counted.ts';
import { ASKED_AT_ONCE, ASKED_PER_SECOND, LOUD_USERS } from '../plan/compile-ask.ts';
import { TABLE } from '../plan/reserved.ts';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { insideKind } from '../policy/inside-address.ts';
import { readAccessGroup } from '../store/access-group.ts';
import type { AppIds } from '../store/app-ids.ts';
import { KeptRuleset } from '../store/kept-ruleset.ts';
import { type Paths, watchedPaths } from '../store/paths.ts';
import type { PolicyFiles } from '../store/policy-files.ts';
import { strayFiles } from '../store/stray-files.ts';
import { dhcpLeases, leaseDirectories } from '../watch/dhcp-leases.ts';
import { forwardedFamilies } from '../watch/forwarding.ts';
import type { KernelEvent } from '../watch/kernel-event.ts';
import { clockTime } from '../watch/local-time.ts';
import type { MachineSources } from '../watch/machine.ts';
import { ManagedDevices } from '../watch/managed-devices.ts';
import { lookUpName } from '../watch/name-lookup.ts';
import { Names } from '../watch/names.ts';
import { INIT_PID } from '../watch/network-domains.ts';
import { NetworkWatch } from '../watch/network-watch.ts';
import { isInOurNetwork } from '../watch/own-network.ts';
import type { Packages } from '../watch/packages.ts';
import { PackagesWatch } from '../watch/packages-watch.ts';
import { PolicyWatch } from '../watch/policy-watch.ts';
import { ConfirmWindow } from './confirm-window.ts';
import { createControl } from './control.ts';
import { daemonStatus } from './daemon-status.ts';
import { fromVerdict } from './decision-event.ts';
import type { Departure } from './departure.ts';
import { reportDeviceNames } from './device-name-warning.ts';
import { DnsKeeper } from './dns-keeper.ts';
import { Enforcement, type Round } from './enforce.ts';
import { EventKeeper } from './event-keeper.ts';
import { EventStream } from './event-stream.ts';
import { type Faults, isOutOfDescriptors } from './faults.ts';
import { FileMistakes, filesBroken, filesNotRead } from './file-mistakes.ts';
import { ForeignLooks, foreignTrigger } from './foreign-looks.ts';
import { reportForeignRouting } from './foreign-routing-warnings.ts';
import { forwardingWarning } from './forwarding-warning.ts';
import { GuardDrops } from './guard-drops.ts';
import { Health } from './health.ts';
import type { IdentityTiers } from './identity-tiers.ts';
import { KernelDecisions } from './kernel-decisions.ts';
import { isLeftOut } from './left-out.ts';
import { MisfitEntries } from './misfit-entries.ts';
import { PanicLook } from './panic-warning.ts';
import { PolicyHistory } from './policy-history.ts';
import { startErrorOf } from './preconditions.ts';
import { ProfileClock } from './profile-clock.ts';
import { ProgramKeeper } from './program-keeper.ts';
import { isThere, type Removal, remove } from './removal.ts';
import { RepairPace } from './repair-pace.ts';
import { changeEvent, isRepair, reportHealth, wasUndone } from './round-report.ts';
import { SelfCheckKeeper } from './self-check-keeper.ts';
import { ControlServer } from './server.ts';
import { ShareWarning } from './share-warning.ts';
import { slowLooks } from './slow-looks.ts';
import { StagedChange } from './staged-change.ts';
import { startVerdicts } from './start-verdicts.ts';
import type { StartWatch } from './start-watch.ts';
import { StrangerOwner } from './stranger-owner.ts';
import { TrafficKeeper } from './traffic-keeper.ts';
import { type UplinksInForce, uplinkEvents } from './uplink-events.ts';
import { UplinkProbing } from './uplink-probing.ts';
import type { VerdictKeeper } from './verdict-keeper.ts';
import type { VerdictStats } from './verdict-message.ts';
import type { EventBatch } from './verdict-reporter.ts';
import { warningsInForce } from './warnings-in-force.ts';

export interface DaemonParts {
  readonly background: Background;
  readonly faults: Faults;
  readonly departure: Departure;
  readonly steps: Pick<StartWatch, 'at'>;
  readonly kernel: Kernel;
  readonly machine: MachineSources;
  readonly paths: Paths;
  readonly root: string;
  readonly files: PolicyFiles;
  readonly ids: AppIds;
  readonly packages: Packages;
  readonly identity: IdentityTiers;
  readonly version: string;
  readonly confirmMs?: number;
  readonly log: (line: string) => void;
  readonly clock: Clock;
}

/** Conditions that nothing tells of are looked at so often. */
const SLOW_LOOK_MS = 15_000;
/** A thread that is slower than this is in trouble of its own, and is reported. */
const PUBLISHED_WITHIN_MS = 2000;
/** So long the start waits for what NetworkManager says. */
const MANAGED_WITHIN_MS = 1000;
/** The DNS servers are part of the facts. */
const RESOLV_CONF = '/etc/resolv.conf';

export class Daemon implements AsyncDisposable {
  readonly #parts: DaemonParts;
  readonly #sinceMs: MonotonicMs;
  readonly #health: Health;
  readonly #events: EventStream;
  readonly #names: Names;
  readonly #probing: UplinkProbing;
  readonly #enforcement: Enforcement;
  readonly #managed: ManagedDevices;
  readonly #networks: NetworkWatch;
  readonly #pace = new RepairPace();
  readonly #foreign: ForeignLooks;
  readonly #confirmWindow: ConfirmWindow;
  readonly #history = new PolicyHistory();
  readonly #misfits = new MisfitEntries();
  readonly #controlShares = new ShareWarning<'connections' | 'watches'>({
    nobody: 'nobody',
    of: { connections: 'connections', watches: 'watch' },
    message: 'users who hold more than their share of the control socket are refused the rest',
    hint: 'ss -xp shows whose connections there are; sudo pointsman works all the same',
  });
  readonly #askedShares = new ShareWarning<'new connections'>({
    nobody: 'others, containers and what nobody sends',
    of: { 'new connections': 'new connections' },
    message: `users who begin more than ${ASKED_AT_ONCE} new connections at once, or ${ASKED_PER_SECOND} a second, are refused the rest`,
    hint: 'ss -tunap shows whose sockets there are; connections that the kernel decides by itself do not count',
  });
  readonly #panic: PanicLook;
  readonly #staged: StagedChange;
  readonly #selfCheck: SelfCheckKeeper;
  readonly #mistakes: FileMistakes;
  readonly #kernelDecisions: KernelDecisions;
  readonly #guardDrops: GuardDrops;
  readonly #strangers: StrangerOwner | undefined;
  readonly #packagesWatches: readonly PackagesWatch[];
  readonly #profileClock: ProfileClock;
  readonly #programs: ProgramKeeper;
  /** What watchers have been told of. */
  #uplinksBefore: UplinksInForce | undefined;
  readonly #policyWatch: PolicyWatch;
  readonly #slowLook: NodeJS.Timeout;
  readonly #dns: DnsKeeper;
  readonly #traffic: TrafficKeeper | undefined;
  #verdicts: VerdictKeeper | undefined;
  #kernelEvents: EventKeeper | undefined;
  #server: ControlServer | undefined;
  /** What stands among people's files, and nobody reads. */
  #strays: readonly Diagnostic[] = [];
  #isEnforcing = false;
  #isDisposed = false;
  #hasStarted = false;
  /** What another daemon has left was there before the start. */
  #hasPredecessor = false;
  #left: 'kept' | Removal = 'kept';

  private constructor(parts: DaemonParts) {
    const { background, clock, kernel, files, ids, machine, packages } = parts;
    this.#parts = parts;
    this.#confirmWindow = new ConfirmWindow(background);
    this.#sinceMs = clock.monotonicMs();
    this.#panic = new PanicLook(kernel.nft);
    this.#mistakes = new FileMistakes((path) => files.permissionsOf(path), parts.log);
    this.#events = new EventStream(
      (isWatched) => this.#kernelEvents?.watchFlows(isWatched),
      (uid) => this.#noteControlShare(uid, 'watches'),
    );
    this.#health = new Health({
      clock,
      onChange: ({ code, message }, over) => {
        parts.log(`pointsman: ${over ? 'over: ' : ''}${message} [${code}]`);
        this.#events.publish({ kind: 'warning', timeMs: clock.wallMs(), code, message, over });
      },
    });
    parts.faults.reportTo(this.#health);
    this.#names = new Names({
      background,
      lookUp: lookUpName,
      nowMs: clock.monotonicMs,
      isInside: (address) => this.#isInside(address),
      onChange: () => this.#enforcement?.request({ kind: 'names' }),
      onFailures: () => this.#reportInForce(),
    });
    this.#probing = new UplinkProbing(() => {
      this.#enforcement?.request({ kind: 'network' });
      this.#reportProbing();
    }, background);
    // Before the first look at the files, so that no change falls between.
    const { directories, files: singleFiles } = watchedPaths(parts.paths);
    this.#policyWatch = new PolicyWatch(
      { directories, files: [...singleFiles, RESOLV_CONF] },
      {
        onChange: (changed) => this.#enforcement?.request({ kind: 'files', changed }),
        onError: ({ message }, directory) =>
          this.#health.set('files-not-watched', {
            message: `changes in ${directory} are not seen: ${message}`,
            hint: 'after a change: pointsman reload',
          }),
      },
      background,
    );
    const onNetwork = (): void => {
      // What is said before the first round is part of that, and there is to be none before somebody answers the queue.
      if (this.#isEnforcing) this.#enforcement.request({ kind: 'network' });
    };
    this.#managed = new ManagedDevices({ background, onChange: onNetwork });
    this.#networks = new NetworkWatch({ background, kernel, managed: this.#managed, onChange: onNetwork });
    const leases = dhcpLeases({
      managed: this.#managed,
      ...leaseDirectories(isInOurNetwork(INIT_PID), parts.root),
    });
    this.#enforcement = new Enforcement({
      background,
      kernel,
      machine: { ...machine, managed: this.#managed, networks: this.#networks, leases },
      files,
      kept: new KeptRuleset(parts.paths, parts.version),
      ids,
      packages,
      names: this.#names,
      uplinkHealth: this.#probing,
      clock,
      publish: (snapshot) => this.#verdicts?.publish(snapshot),
      published: (revision) => this.#published(revision),
      ownChange: {
        begin: () => {
          this.#programs.beginChange();
          this.#kernelEvents?.beginChange();
        },
        end: (generation) => this.#kernelEvents?.endChange(generation),
      },
      onRound: (round) => this.#afterRound(round),
    });
    this.#staged = new StagedChange({
      ...{ background, files, clock, paths: parts.paths, enforcement: this.#enforcement },
      ...{ confirmWindow: this.#confirmWindow, history: this.#history, health: this.#health },
      beside: () => this.#besides,
    });
    const inForce = () => this.#enforcement.inForce;
    this.#strangers = kernel.sockets && new StrangerOwner(kernel.sockets);
    this.#kernelDecisions = new KernelDecisions({
      background,
      inForce,
      clock,
      publish: (event) => this.#events.publish(event),
      ...(this.#strangers !== undefined && { strangers: this.#strangers }),
    });
    this.#guardDrops = new GuardDrops({
      connections: kernel.connections,
      uplinks: () => inForce()?.machine.facts.uplinks ?? [],
      deviceName: (index) => deviceName(kernel, index),
      tell: (flow, mark) => this.#kernelDecisions.hearGuarded(flow, mark),
    });
    this.#profileClock = new ProfileClock({
      background,
      nowMs: clock.wallMs,
      onChange: () => this.#enforcement.request({ kind: 'time' }),
    });
    const onPackages = (): void => this.#enforcement.request({ kind: 'packages' });
    // Programs are those of the machine, policy files may be those of packages below another root.
    this.#packagesWatches = [...new Set(['/', parts.root])].map(
      (root) => new PackagesWatch(onPackages, background, root),
    );
    this.#dns = new DnsKeeper({
      background,
      kernel,
      enforcement: this.#enforcement,
      health: this.#health,
      nowMs: clock.monotonicMs,
      managedResolvers: (device) => this.#managed.device(device)?.dns ?? [],
    });
    this.#traffic = isLeftOut('totals') ? undefined : new TrafficKeeper({ background, clock, health: this.#health });
    this.#foreign = new ForeignLooks({
      background,
      pace: this.#pace,
      nowMs: clock.monotonicMs,
      request: (trigger) => this.#enforcement.request(trigger),
      onForeign: () => background.run(() => this.#lookSlowly()),
    });
    this.#programs = new ProgramKeeper({
      background,
      kernel,
      cgroups: machine.cgroups,
      identity: parts.identity,
      health: this.#health,
      inForce,
      beats: () => this.verdictBeats,
      onCgroups: () => this.#enforcement.request({ kind: 'cgroups' }),
      onLinks: () => this.#enforcement.followLinks(),
    });
    this.#selfCheck = new SelfCheckKeeper({ background, kernel, health: this.#health, inForce, clock });
    this.#slowLook = background.interval(() => this.#lookSlowly(), SLOW_LOOK_MS);
  }

  /** Counts the signs of life of the thread that answers packets. */
  get verdictBeats(): number {
    return this.#verdicts?.beats ?? 0;
  }

  /** Resolves when the policies are in force and the control socket answers. Rejects with StartError; nothing is left then. */
  static async start(parts: DaemonParts): Promise<Daemon> {
    const daemon = new Daemon(parts);
    try {
      await daemon.#start();
      daemon.#hasStarted = true;
      return daemon;
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw startErrorOf(error, 'failed');
    }
  }

  /** As without somebody who asks for it by the socket. */
  reload(): void {
    this.#staged.reread();
  }

  /** Once it has been disposed of: what there is in the kernel. */
  get left(): 'kept' | Removal {
    return this.#left;
  }

  /** Nothing of ours is left, whatever fails on the way, but where it is to be kept, or a start fails after another daemon. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    clearInterval(this.#slowLook);
    await this.#selfCheck.stop();
    this.#foreign[Symbol.dispose]();
    this.#staged[Symbol.dispose]();
    for (const watching of this.#packagesWatches) watching[Symbol.dispose]();
    this.#profileClock[Symbol.dispose]();
    this.#programs[Symbol.dispose]();
    this.#managed[Symbol.dispose]();
    this.#networks[Symbol.dispose]();
    this.#names[Symbol.dispose]();
    this.#kernelDecisions[Symbol.dispose]();
    this.#strangers?.[Symbol.dispose]();
    await this.#probing[Symbol.asyncDispose]();
    await this.#policyWatch[Symbol.asyncDispose]();
    await this.#enforcement.stop(this.#keeps);
    await this.#kernelEvents?.[Symbol.asyncDispose]();
    this.#traffic?.[Symbol.dispose]();
    // The ruleset before the thread that answers for it.
    if (this.#verdicts !== undefined && !this.#keeps) this.#left = await remove(this.#parts.kernel);
    await this.#dns[Symbol.asyncDispose]();
    await this.#verdicts?.[Symbol.asyncDispose]();
    // Last: as long as the socket is there, it is not over.
    await this.#server?.[Symbol.asyncDispose]();
  }

  async #start(): Promise<void> {
    const { background, kernel, confirmMs, log, clock, steps } = this.#parts;
    const { scripts } = this.#parts.identity;
    this.#hasPredecessor = await isThere(kernel, TABLE);
    steps.at('NetworkManager');
    // What costs money is to be known from the first connection on, but not at the price of a bus that does not answer.
    await Promise.race([this.#managed.start(), delay(MANAGED_WITHIN_MS, undefined, { ref: false })]);
    steps.at('the thread that answers packets');
    this.#verdicts = await startVerdicts({
      background,
      snapshot: this.#enforcement.firstSnapshot(),
      ...(kernel.sockets !== undefined && { marks: kernel.sockets.handle }),
      ...(typeof scripts !== 'string' && { scriptsFd: scripts.fd }),
      onEvents: (batch) => this.#hearVerdicts(batch),
      onResolveName: (name) => this.#names.resolveNow(name),
      onShareFull: (uid) => this.#noteAskedShare(uid),
      onTrouble: (error) =>
        this.#health.report(
          'queue-not-served',
          error && { message: `first packets are not being decided: ${error.message}; starting again` },
        ),
    });
    steps.at('events of the kernel');
    this.#traffic?.start();
    this.#kernelEvents = await EventKeeper.start({
      background,
      generation: () => kernel.nft.generation(),
      onEvent: background.handler((event: KernelEvent) => this.#hear(event)),
      onTurn: background.handler(() => this.#traffic?.take()),
      onTrouble: (error) =>
        this.#health.report(
          'events-not-watched',
          error && { message: `the kernel's events are not heard: ${error.message}; trying again` },
        ),
    });
    steps.at('the relay of DNS queries');
    // Before anything is redirected to it.
    await this.#dns.look();
    steps.at('the first plan');
    this.#isEnforcing = true;
    const round = await this.#enforcement.run({ kind: 'start' });
    if (!round.outcome.ok) throw startErrorOf(round.outcome.error, 'failed');
    steps.at('the first look at the machine');
    // Whoever asks how things stand is told all of it from the first answer on.
    await this.#lookSlowly();
    steps.at('the control socket');
    this.#server = await this.#listen();
    this.#selfCheck.start();
    if (confirmMs !== undefined)
      this.#confirmWindow.open(clock.monotonicMs(), confirmMs, () =>
        this.#parts.departure.ask('not confirmed in time', 'remove', { isUnconfirmed: true }),
      );
    const { apps, uplinks } = this.#enforcement.inForce?.policySet ?? round.loaded.policySet;
    log(
      `pointsman: enforcing ${counted(apps.length, 'application')} over ${counted(uplinks.length, 'uplink')}; control socket ${this.#parts.paths.socketPath}`,
    );
    const { endsMs } = this.#confirmWindow;
    if (endsMs !== undefined)
      log(
        `pointsman: removed at ${clockTime(wallAt(clock, endsMs))}, and nothing is in force then, unless somebody runs: sudo pointsman confirm`,
      );
  }

  #listen(): Promise<ControlServer> {
    const control = createControl({
      background: this.#parts.background,
      kernel: this.#parts.kernel,
      panic: this.#panic,
      enforcement: this.#enforcement,
      events: this.#events,
      staged: this.#staged,
      managed: (device) => this.#managed.device(device),
      networks: this.#networks,
      clock: this.#parts.clock,
      stop: () => this.#parts.departure.ask('asked to', 'remove'),
      leave: () => this.#parts.departure.ask('another daemon takes over', 'keep'),
      traffic: () => this.#traffic?.totals(),
      guardCounts: () => this.#guardDrops.counts,
      permissionsOf: (path) => this.#parts.files.permissionsOf(path),
      status: async () => {
        // It may be of this moment, and nothing else tells of it.
        await this.#panic.report(this.#health);
        return this.#status(await this.#verdicts?.stats());
      },
      selfCheck: () => this.#selfCheck.check(),
    });
    return ControlServer.listen(control, {
      background: this.#parts.background,
      socketPath: this.#parts.paths.socketPath,
      groupId: readAccessGroup()?.id,
      onShareFull: (uid) => this.#noteControlShare(uid, 'connections'),
    });
  }

  #noteControlShare(uid: number, share: 'connections' | 'watches'): void {
    if (this.#controlShares.note(uid, share, this.#parts.clock.monotonicMs())) this.#reportControlShares();
  }

  #noteAskedShare(uid: number): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#askedShares.note(uid, 'new connections', nowMs)) this.#reportAskedShares();
  }

  #reportAskedShares(): void {
    this.#health.report('asked-share-full', this.#askedShares.warning(this.#parts.clock.monotonicMs()));
  }

  #reportControlShares(): void {
    this.#health.report('control-share-full', this.#controlShares.warning(this.#parts.clock.monotonicMs()));
  }

  #status(verdicts: VerdictStats | undefined): ReturnType<typeof daemonStatus> {
    const { root, version, machine, clock } = this.#parts;
    const { endsMs } = this.#confirmWindow;
    const { inForce, loaded } = this.#enforcement;
    return daemonStatus({
      inForce,
      isStopping: this.#isLeaving,
      verdicts,
      version,
      pid: process.pid,
      sinceMs: wallAt(clock, this.#sinceMs),
      root,
      queue: machine.queue,
      identity: this.#programs.status(),
      warnings: this.#health.list(),
      diagnostics: [...loaded.diagnostics, ...this.#besides, ...(inForce?.ids.diagnostics ?? [])],
      dns: this.#dns.counts,
      residentBytes: process.memoryUsage.rss(),
      ...(endsMs !== undefined && { confirmBeforeMs: wallAt(clock, endsMs) }),
    });
  }

  #hear(event: KernelEvent): void {
    switch (event.kind) {
      case 'network changed':
        this.#names.retryFailed();
        this.#enforcement.request({ kind: 'network' });
        break;
      case 'neighbours':
        this.#networks.hear(event.neighbours);
        break;
      case 'own routing removed':
        this.#foreign.look({ kind: 'network' }, true);
        break;
      case 'ruleset changed':
        this.#foreign.look(foreignTrigger(event.by), event.isOurs);
        break;
      case 'resynchronise':
        if (event.source === 'network') this.#enforcement.request({ kind: 'network' });
        if (event.source === 'ruleset') this.#foreign.look({ kind: 'foreign' }, true);
        break;
      case 'flows':
        this.#kernelDecisions.hearFlows(event.events);
        break;
      case 'logged':
        this.#kernelDecisions.hearLogged(event.packets);
        break;
      case 'guarded':
        this.#guardDrops.hear(event.packets);
        break;
    }
  }

  async #published(revision: number): Promise<void> {
    const late = delay(PUBLISHED_WITHIN_MS, undefined, { ref: false });
    await Promise.race([this.#verdicts?.published(revision), late]);
  }

  #hearVerdicts({ events }: EventBatch): void {
    this.#enforcement.flows.hear(events);
    this.#programs.note(events);
    if (!this.#events.isWatched) return;
    for (const event of events) {
      this.#kernelDecisions.note(event);
      this.#events.publish(fromVerdict(event, wallAt(this.#parts.clock, event.atMs)));
    }
  }

  #afterRound(round: Round): void {
    const { kernel, clock, log } = this.#parts;
    this.#programs.follow();
    this.#dns.refresh();
    const isUndone = wasUndone(round);
    if (isRepair(round) || isUndone) this.#pace.repaired(clock.monotonicMs());
    reportHealth(this.#health, round, this.#pace);
    if (!round.outcome.ok && isOutOfDescriptors(round.outcome.error)) this.#parts.faults.hear(round.outcome.error);
    this.#health.report('uplink-refused', this.#enforcement.refusedUplinks);
    reportForeignRouting(this.#health, round, kernel.routing);
    reportDeviceNames(this.#health, round, kernel.routing);
    this.#dns.reportFollowed();
    this.#reportInForce();
    if (round.pending.kinds.has('files')) {
      this.#reportMisfits(round.changedApps);
      this.#reportStrays();
    }
    this.#mistakes.note(round.loaded.diagnostics);
    this.#health.report('files-broken', filesBroken(round.loaded.diagnostics));
    this.#health.report('connections-not-ended', this.#enforcement.flows.warning ?? this.#guardDrops.warning);
    const { inForce } = this.#enforcement;
    if (!this.#isLeaving) this.#probing.follow(inForce);
    this.#reportProbing();
    if (inForce !== undefined) {
      this.#traffic?.follow(inForce.ids);
      this.#history.note(inForce.policySet, this.#parts.files.settled(), clock.monotonicMs());
      for (const event of uplinkEvents(this.#uplinksBefore, inForce, clock.wallMs())) this.#events.publish(event);
      this.#uplinksBefore = inForce;
    }
    this.#profileClock.watch(inForce?.policySet.profiles);
    this.#kernelEvents?.watchNeighbours(this.#networks.watched);
    if (!round.outcome.ok && !this.#isLeaving && this.#enforcement.inForce !== undefined) {
      if (isUndone) this.#foreign.look({ kind: 'retry' }, true);
      else this.#enforcement.retryLater();
    }
    const event = changeEvent(round, this.#enforcement.inForce?.snapshot.revision ?? 0, clock.wallMs());
    if (event === undefined) return;
    this.#events.publish(event);
    if (event.error === undefined)
      log(`pointsman: ${event.because}: ${counted(event.changes, 'change')} in ${Math.round(event.durationMs)} ms`);
  }

  #isInside(address: Address): boolean {
    const facts = this.#enforcement?.inForce?.machine.facts;
    return facts !== undefined && insideKind(facts, address) !== undefined;
  }

  #reportInForce(): void {
    const found = warningsInForce(this.#enforcement.inForce, this.#names.failures(), this.#parts.clock.monotonicMs());
    for (const [code, warning] of found) this.#health.report(code, warning);
    const looks = fileLooks();
    const policySet = this.#enforcement.inForce?.policySet;
    this.#health.report(
      'look-too-slow',
      slowLooks(looks.late(), (path) => looks.isLate(path), policySet),
    );
  }

  #reportProbing(): void {
    for (const [code, warning] of this.#probing.warnings()) this.#health.report(code, warning);
  }

  async #lookSlowly(): Promise<void> {
    if (this.#parts.faults.look()) this.#enforcement.request({ kind: 'retry' });
    const { kernel, clock } = this.#parts;
    if (this.#pace.isQuiet(clock.monotonicMs())) this.#health.clear('foreign-change');
    this.#reportControlShares();
    // The kernel refuses most of them, before they come here.
    for (const uid of kernel.nft.numbersIn(LOUD_USERS)) this.#noteAskedShare(uid);
    this.#reportAskedShares();
    this.#programs.look();
    this.#enforcement.followLinks();
    await this.#panic.report(this.#health);
    await this.#dns.look();
    if (this.#isLeaving) return;
    this.#reportInForce();
    this.#reportMisfits();
    this.#reportStrays();
  }

  /** What is said of files that their text does not tell. */
  get #besides(): readonly Diagnostic[] {
    return [...this.#strays, ...this.#misfits.diagnostics];
  }

  #reportStrays(): void {
    this.#strays = strayFiles(this.#parts.paths);
    this.#health.report('files-not-read', filesNotRead(this.#strays));
  }

  /** What files say, and the machine does not fit. */
  #reportMisfits(changed: readonly string[] = []): void {
    const policySet = this.#enforcement.inForce?.policySet;
    this.#health.report('entries-misfit', policySet && this.#misfits.look(policySet, changed));
    const forwarding = policySet && forwardingWarning(policySet.systemDefault, forwardedFamilies());
    this.#health.report('forwarded-not-governed', forwarding);
  }

  get #keeps(): boolean {
    return this.#hasStarted ? this.#parts.departure.leaving === 'keep' : this.#hasPredecessor;
  }

  get #isLeaving(): boolean {
    return this.#isDisposed || this.#parts.departure.leaving !== undefined;
  }
}

/** Undefined where it has gone, or the kernel cannot be asked just now. */
function deviceName({ routing }: Pick<Kernel, 'routing'>, index: number): string | undefined {
  try {
    return routing.links().find((link) => link.index === index)?.name;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return undefined;
  }
}
