/** The pure stretch of path A, and what it looks at: policy set and machine to the plan that is wanted, and to the verdict thread's snapshot. */
import type { Kernel } from '../kernel/kernel.ts';
import { type Compilation, compile } from '../plan/compile.ts';
import { namedPrograms, programName } from '../plan/program.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import { type ExpandedPolicies, expandPackages } from '../policy/expand-packages.ts';
import type { Facts } from '../policy/facts.ts';
import { type AppIndex, indexApps, indexAppsAgain } from '../policy/match-app.ts';
import type { AppIds, AssignedIds } from '../store/app-ids.ts';
import { type Machine, type MachineSources, observeMachine } from '../watch/machine.ts';
import { type NamedHosts, namedHosts, packageNames, refusedHosts } from '../watch/named-things.ts';
import type { Names } from '../watch/names.ts';
import type { Packages } from '../watch/packages.ts';
import type { VerdictSnapshot } from './verdict-snapshot.ts';

export interface WantedParts {
  readonly kernel: Pick<Kernel, 'sockets'>;
  readonly machine: MachineSources;
  readonly packages: Pick<Packages, 'programs'>;
  readonly ids: AppIds;
  readonly names: Names;
  readonly nowMs: () => number;
}

/** A stage on the way to what is in force. */
export interface Wanted {
  /** With the programs of packages. */
  readonly policySet: PolicySet;
  /** Of `policySet`. */
  readonly index: AppIndex;
  /** As it counts: uplinks whose routes the kernel refuses are down. */
  readonly machine: Machine;
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
  #expanded: ExpandedPolicies | undefined;
  #packageNames: { readonly source: PolicySet; readonly names: readonly string[] } | undefined;
  #programNames: { readonly index: AppIndex; readonly names: readonly string[] } | undefined;
  #namedHosts: NamedHosts | undefined;
  #refusedHosts: NamedHosts | undefined;
  #revision = 0;

  constructor(parts: WantedParts) {
    this.#parts = parts;
  }

  /** `without`: the machine as it counts. The same object where nothing is otherwise. Throws KernelError. */
  want(source: PolicySet, without: (machine: Machine) => Machine): Wanted {
    const { ids, names, machine: sources, nowMs, kernel } = this.#parts;
    const before = this.#last;
    const packages = this.#packages(source);
    const expanded = expandPackages(source, packages, this.#expanded);
    this.#expanded = expanded;
    const { policySet } = expanded;
    this.#watchNames(policySet);
    const index = before === undefined ? indexApps(policySet) : indexAppsAgain(policySet, before);
    const assigned = ids.assign({
      apps: policySet.apps.map(({ app }) => app),
      uplinks: policySet.uplinks.map(({ name }) => name),
      programs: kernel.sockets === undefined ? [] : this.#programs(index),
    });
    const question = { policySet, index, uplinkIds: assigned.uplinks, names: names.states(), packages };
    this.#machine = observeMachine(sources, question, this.#machine);
    const machine = without(this.#machine);
    const { apps: appIds, programs } = assigned;
    const isSame =
      before?.policySet === policySet &&
      before.machine === machine &&
      before.ids.apps === appIds &&
      before.ids.programs === programs;
    if (isSame) return { ...before, ids: assigned };
    const marked = kernel.sockets === undefined ? {} : { programs };
    const host = { ...machine.host, ...marked };
    const input = { policySet, index, facts: machine.facts, host, appIds, nowMs: nowMs() };
    const compilation = compile(input, before?.compilation);
    this.#revision += 1;
    const snapshot = { revision: this.#revision, policySet, facts: machine.facts, appIds, ...marked };
    this.#last = { policySet, index, machine, ids: assigned, compilation, snapshot };
    return this.#last;
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
    const isSame =
      before?.index.byExecutable === index.byExecutable &&
      before.index.byScript === index.byScript &&
      before.index.byParent === index.byParent;
    if (isSame) return before.names;
    const names = [...namedPrograms(index)].map(({ program }) => programName(program));
    this.#programNames = { index, names };
    return names;
  }

  #watchNames(policySet: PolicySet): void {
    const [before, refusedBefore] = [this.#namedHosts, this.#refusedHosts];
    if (before?.policySet === policySet) return;
    this.#namedHosts = namedHosts(policySet, before);
    this.#refusedHosts = refusedHosts(policySet, refusedBefore);
    const [byApp, refused] = [this.#namedHosts.byApp, this.#refusedHosts.byApp];
    if (before?.byApp === byApp && refusedBefore?.byApp === refused) return;
    this.#parts.names.watch([...byApp.values()].flat(), { never: new Set([...refused.values()].flat()) });
  }
}
