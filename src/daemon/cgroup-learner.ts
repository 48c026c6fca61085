/** Cgroups that policies name and that came into being later: the slow path sees their processes first. */
import { cgroupAncestry, matchCgroup } from '../policy/match-app.ts';
import type { InForce } from './in-force.ts';
import type { VerdictEvent } from './verdict-loop.ts';

/** Cgroups that were looked at; when there are more, all are looked at anew. */
export const MAX_SEEN_CGROUPS = 4096;

export class CgroupLearner {
  readonly #inForce: () => InForce | undefined;
  readonly #onNew: () => void;
  #known: { readonly inForce: InForce; readonly seen: Set<string> } | undefined;

  constructor(inForce: () => InForce | undefined, onNew: () => void) {
    this.#inForce = inForce;
    this.#onNew = onNew;
  }

  note({ owner }: VerdictEvent): void {
    if (owner.kind !== 'process' || owner.cgroup === undefined) return;
    const known = this.#refresh();
    if (known === undefined || known.seen.has(owner.cgroup)) return;
    if (known.seen.size >= MAX_SEEN_CGROUPS) known.seen.clear();
    known.seen.add(owner.cgroup);
    if (matchCgroup(known.inForce.index, owner.cgroup, known.inForce.machine.facts.containers) === undefined) return;
    const present = new Set(known.inForce.machine.host.cgroups.map(({ path }) => path));
    if (!cgroupAncestry(owner.cgroup).some((path) => present.has(path))) this.#onNew();
  }

  #refresh(): { readonly inForce: InForce; readonly seen: Set<string> } | undefined {
    const inForce = this.#inForce();
    if (inForce === undefined) return undefined;
    if (this.#known?.inForce.snapshot !== inForce.snapshot) {
      this.#known = { inForce, seen: new Set() };
    }
    return this.#known;
  }
}
