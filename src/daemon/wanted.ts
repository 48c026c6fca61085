/** The pure stretch of path A, and what it looks at: policy set and machine to the plan that is wanted, and to the verdict thread's snapshot. */
import type { Kernel } from '../kernel/kernel.ts';
import type { Clock } from '../net/clock.ts';
import { type Compilation, compile } from '../plan/compile.ts';
import type { Host } from '../plan/host.ts';
import { keepChains } from '../plan/kept-chains.ts';
import type { Ruleset } from '../plan/nft/ruleset.ts';
import { namedPrograms, programName } from '../plan/program.ts';
import { activeProfiles } from '../policy/active-profiles.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import { type ExpandedPolicies, expandPackages } from '../policy/expand-packages.ts';
import type { Facts, KeptChoices } from '../policy/facts.ts';
import { takenNames } from '../policy/join-uplinks.ts';
import { keepChoices, NOTHING_KEPT, type StickyChoices, stickyVias } from '../policy/kept-choice.ts';
import { type AppIndex, indexApps, indexAppsAgain } from '../policy/match-app.ts';
import type { Via } from '../policy/model.ts';
import { type SelectedPolicies, selectProfiles } from '../policy/select-profiles.ts';
import { namesSamePrograms } from '../policy/told-by.ts';
import { usesUplinks } from '../policy/uses-uplinks.ts';
import type { AppIds, AssignedIds } from '../store/app-ids.ts';
import { localTime } from '../watch/local-time.ts';
import {
  type Machine,
  type MachineQuestion,
  type MachineSources,
  observeMachine,
  withUplinks,
} from '../watch/machine.ts';
import { allowedHosts, type NamedHosts, namedHosts, packageNames, refusedHosts } from '../watch/named-things.ts';
import type { Names } from '../watch/names.ts';
import { readNetwork } from '../watch/network.ts';
import type { Packages } from '../watch/packages.ts';
import { UplinkKeys } from './uplink-keys.ts';
import type { UplinkProbing } from './uplink-probing.ts';
import type { VerdictSnapshot } from './verdict-snapshot.ts';

export interface WantedParts {
  readonly kernel: Pick<Kernel, 'sockets'>;
  readonly machine: MachineSources;
  readonly packages: Pick<Packages, 'programs'>;
  readonly ids: AppIds;
  readonly names: Names;
  /** Absent: nobody looks whether uplinks work. */
  readonly uplinkHealth?: Pick<UplinkProbing, 'healths'>;
  readonly clock: Clock;
  /** What a daemon before this one has left in the table, as far as that is known. */
  readonly predecessor?: Ruleset | undefined;
}

/** What is looked at once, whatever holds. */
type Seen = Pick<MachineQuestion, 'network' | 'packages'>;

/** The world under a choice of profiles. */
interface Looked {
  readonly policySet: PolicySet;
  readonly index: AppIndex;
  readonly machine: Machine;
  readonly assigned: AssignedIds;
}

/** A stage on the way to what is in force. */
export interface Wanted {
  /** With the programs of packages, the uplinks that no file names, and of rules that wait for a profile those that hold. */
  readonly policySet: PolicySet;
  /** Of `policySet`. */
  readonly index: AppIndex;
  /** As it counts: uplinks whose routes the kernel refuses are down. */
  readonly machine: Machine;
  /** Names, sorted. */
  readonly activeProfiles: readonly string[];
  /** With the programs by which sockets are marked. */
  readonly host: Host;
  readonly ids: AssignedIds;
  readonly compilation: Compilation;
  readonly snapshot: VerdictSnapshot;
}

/** Each costs only what changed since the last. */
export class Wants {
  readonly #parts: WantedParts;
  #last: Wanted | undefined;
  /** As it is. */
  #machine: Machine | undefined;
  #activeProfiles: readonly string[] = [];
  #selected: SelectedPolicies | undefined;
  #withUplinks: PolicySet | undefined;
  #expanded: ExpandedPolicies | undefined;
  #packageNames: { readonly source: PolicySet; readonly names: readonly string[] } | undefined;
  #programNames: { readonly index: AppIndex; readonly names: readonly string[] } | undefined;
  #namedHosts: NamedHosts | undefined;
  #refusedHosts: NamedHosts | undefined;
  #allowedHosts: NamedHosts | undefined;
  #usesUplinks = false;
  #stickyVias: { readonly source: PolicySet; readonly vias: readonly Via[] } | undefined;
  #sticky: StickyChoices = NOTHING_KEPT;
  /** The last machine with what is kept, and what it was made of. */
  #withKept: { readonly machine: Machine; readonly kept: KeptChoices; readonly made: Machine } | undefined;
  #revision = 0;
  readonly #uplinkKeys = new UplinkKeys();

  constructor(parts: WantedParts) {
    this.#parts = parts;
  }

  /** In so many milliseconds something else is wanted, if nothing else happens; absent: nothing is. */
  get dueInMs(): number | undefined {
    const { dueMs } = this.#sticky;
    return dueMs === undefined ? undefined : Math.max(0, dueMs - this.#parts.clock.monotonicMs());
  }

  /** `without`: the machine as it counts. The same object where nothing is otherwise. Throws KernelError. */
  want(source: PolicySet, without: (machine: Machine) => Machine): Wanted {
    const { machine: sources, clock, kernel } = this.#parts;
    const before = this.#last;
    const network = readNetwork(sources.routing);
    this.#withUplinks = withUplinks(sources, source, network, this.#withUplinks);
    const packages = this.#packages(this.#withUplinks);
    const expanded = expandPackages(this.#withUplinks, packages, this.#expanded);
    this.#expanded = expanded;
    this.#watchNames(expanded.policySet);
    const looked = this.#lookUnderProfiles(expanded.policySet, { network, packages }, without);
    const { policySet, index, assigned } = looked;
    const machine = this.#keep(policySet, looked.machine);
    const { apps: appIds, programs } = assigned;
    const activeProfiles = this.#activeProfiles;
    const isSame =
      before?.policySet === policySet &&
      before.machine === machine &&
      before.ids.apps === appIds &&
      before.ids.programs === programs;
    if (isSame) return { ...before, activeProfiles, ids: assigned };
    const marked = kernel.sockets === undefined ? {} : { programs };
    const host = { ...machine.host, ...marked };
    // Once there, they stay: connections that began by one go on by it, whatever the files say next.
    this.#usesUplinks ||= usesUplinks(policySet);
    const facts = this.#usesUplinks ? machine.facts : { ...machine.facts, uplinks: [] };
    const input = { policySet, index, facts, host, appIds, nowMs: clock.monotonicMs() };
    const compiled = compile(input, before?.compilation);
    const nft = keepChains(compiled.plan.nft, before?.compilation.plan.nft ?? this.#parts.predecessor);
    const compilation = nft === compiled.plan.nft ? compiled : { ...compiled, plan: { ...compiled.plan, nft } };
    this.#revision += 1;
    const snapshot = { revision: this.#revision, policySet, facts, appIds, ...marked };
    this.#last = { policySet, index, machine, host, activeProfiles, ids: assigned, compilation, snapshot };
    return this.#last;
  }

  /** Which profiles hold depends on the uplinks, and these not on what holds: the second look is the last. */
  #lookUnderProfiles(all: PolicySet, seen: Seen, without: (machine: Machine) => Machine): Looked {
    const before = this.#activeProfiles;
    const first = this.#look(all, seen, without);
    const time = localTime(this.#parts.clock.wallMs());
    const active = activeProfiles(all.profiles ?? [], { uplinks: first.machine.facts.uplinks, time });
    if (active.join() === before.join()) return first;
    this.#activeProfiles = active;
    return this.#look(all, seen, without);
  }

  #look(all: PolicySet, { network, packages }: Seen, without: (machine: Machine) => Machine): Looked {
    const { ids, names, machine: sources, kernel, uplinkHealth } = this.#parts;
    const before = this.#last;
    this.#selected = selectProfiles(all, this.#activeProfiles, this.#selected);
    const { policySet } = this.#selected;
    const index = before === undefined ? indexApps(policySet) : indexAppsAgain(policySet, before);
    const keys = this.#uplinkKeys.of(policySet.uplinks, network.links);
    const kept = ids.assign({
      apps: policySet.apps.map(({ app }) => app),
      uplinks: takenNames(policySet.uplinks).map((name) => keys.get(name) ?? name),
      programs: kernel.sockets === undefined ? [] : this.#programs(index),
    });
    const assigned = withUplinkNames(kept, keys);
    const health = uplinkHealth && { healths: uplinkHealth.healths() };
    const known = { names: names.states(), packages, ...health };
    const question = { network, policySet, index, uplinkIds: assigned.uplinks, ...known };
    this.#machine = observeMachine(sources, question, this.#machine);
    return { policySet, index, machine: without(this.#machine), assigned };
  }

  /** With what sticky choices have come to: they are part of how things stand. */
  #keep(policySet: PolicySet, machine: Machine): Machine {
    if (this.#stickyVias?.source !== policySet) this.#stickyVias = { source: policySet, vias: stickyVias(policySet) };
    const ways = { uplinks: policySet.uplinks, states: machine.facts.uplinks };
    this.#sticky = keepChoices(this.#stickyVias.vias, ways, this.#parts.clock.monotonicMs(), this.#sticky);
    const { kept } = this.#sticky;
    if (kept.size === 0) return machine;
    const before = this.#withKept;
    if (before?.machine === machine && before.kept === kept) return before.made;
    const made = { ...machine, facts: { ...machine.facts, kept } };
    this.#withKept = { machine, kept, made };
    return made;
  }

  /** The same with what names have learned since; the plan follows in the next round. */
  withNames(wanted: Wanted): Wanted {
    this.#revision += 1;
    const { snapshot } = wanted;
    const facts = { ...snapshot.facts, names: this.#parts.names.states() };
    return { ...wanted, snapshot: { ...snapshot, facts, revision: this.#revision } };
  }

  #packages(source: PolicySet): Facts['packages'] {
    if (this.#packageNames?.source !== source) this.#packageNames = { source, names: packageNames(source) };
    return this.#parts.packages.programs(this.#packageNames.names);
  }

  #programs(index: AppIndex): readonly string[] {
    const before = this.#programNames;
    if (before !== undefined && namesSamePrograms(before.index, index)) return before.names;
    const names = [...namedPrograms(index)].map(({ program }) => programName(program));
    this.#programNames = { index, names };
    return names;
  }

  #watchNames(policySet: PolicySet): void {
    const [before, refusedBefore, allowedBefore] = [this.#namedHosts, this.#refusedHosts, this.#allowedHosts];
    if (before?.policySet === policySet) return;
    this.#namedHosts = namedHosts(policySet, before);
    this.#refusedHosts = refusedHosts(policySet, refusedBefore);
    this.#allowedHosts = allowedHosts(policySet, allowedBefore);
    const { byApp } = this.#namedHosts;
    const [refused, allowed] = [this.#refusedHosts.byApp, this.#allowedHosts.byApp];
    if (before?.byApp === byApp && refusedBefore?.byApp === refused && allowedBefore?.byApp === allowed) return;
    const all = (hosts: NamedHosts['byApp']): ReadonlySet<string> => new Set([...hosts.values()].flat());
    this.#parts.names.watch(all(byApp), { never: all(refused), allowed: all(allowed) });
  }
}

/** By the uplinks' names, as everybody else calls them. */
function withUplinkNames(assigned: AssignedIds, keys: ReadonlyMap<string, string>): AssignedIds {
  const nameOf = new Map([...keys].map(([name, key]) => [key, name]));
  const named = (key: string): string => nameOf.get(key) ?? key;
  const { uplinks, without } = assigned;
  if ([...uplinks.keys()].every((key) => named(key) === key)) return assigned;
  return {
    ...assigned,
    uplinks: new Map([...uplinks].map(([key, number]) => [named(key), number])),
    without: { ...without, uplinks: without.uplinks.map(named) },
  };
}
