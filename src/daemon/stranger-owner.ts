/**
 * Whose a flow is that no policy is about and that the kernel let pass without asking: for those who watch, and for nobody else. By
 * the kernel's note of who made the socket, so only as long as that is there.
 */
import { openIdentitySources } from '../identify/identify-flow.ts';
import { type PolicyNames, policyNames } from '../identify/policy-names.ts';
import { findSocket } from '../identify/socket-owner.ts';
import type { SharedSocketMarks } from '../kernel/socket-marks.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { Flow } from '../net/flow.ts';
import type { ProcessOwner } from '../policy/identity.ts';
import type { InForce } from './in-force.ts';

/** In a second. A look takes a tenth of a millisecond: the rest of a flood is shown without its program. */
export const MAX_LOOKS = 200;
const SECOND_MS = 1000;

type Sources = ReturnType<typeof openIdentitySources>;

export class StrangerOwner implements Disposable {
  readonly #marks: SharedSocketMarks;
  readonly #open: (marks: SharedSocketMarks) => Sources;
  #sources: Sources | undefined;
  #names: { readonly of: InForce; readonly names: PolicyNames } | undefined;
  #looks = { sinceMs: Number.NEGATIVE_INFINITY, count: 0 };

  constructor(marks: SharedSocketMarks, open: (marks: SharedSocketMarks) => Sources = openIdentitySources) {
    this.#marks = marks;
    this.#open = open;
  }

  /** Throws KernelError where the first look cannot ask the kernel. */
  ownerOf(flow: Flow, inForce: InForce, nowMs: MonotonicMs): ProcessOwner | undefined {
    if (!this.#mayLook(nowMs)) return undefined;
    this.#sources ??= this.#open(this.#marks);
    const { creators } = this.#sources;
    const search = findSocket(this.#sources, flow, {});
    if (creators === undefined || search.kind === 'none' || search.sockets.length > 1) return undefined;
    const owner = creators.ownerOf(search.sockets[0], this.#namesIn(inForce));
    return owner?.kind === 'process' ? creators.confirm(owner) : undefined;
  }

  [Symbol.dispose](): void {
    this.#sources?.[Symbol.dispose]();
  }

  #mayLook(nowMs: MonotonicMs): boolean {
    if (nowMs - this.#looks.sinceMs >= SECOND_MS) this.#looks = { sinceMs: nowMs, count: 0 };
    this.#looks.count += 1;
    return this.#looks.count <= MAX_LOOKS;
  }

  #namesIn(inForce: InForce): PolicyNames {
    const known = this.#names;
    if (known?.of.index === inForce.index && known.of.snapshot.programs === inForce.snapshot.programs)
      return known.names;
    const names = policyNames(inForce.index, inForce.snapshot.programs);
    this.#names = { of: inForce, names };
    return names;
  }
}
