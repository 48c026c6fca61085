/** Uplinks whose routes the kernel does not take: they count as down until what is known of them changes, and all else is in force. */
import type { ApplyReport } from '../apply/transaction.ts';
import { type Address, formatAddress } from '../net/address.ts';
import { plainText } from '../net/plain-text.ts';
import { ROUTE_TABLE_BASE } from '../plan/reserved.ts';
import type { Facts, UplinkState } from '../policy/facts.ts';
import type { Uplink } from '../policy/model.ts';
import type { Machine } from '../watch/machine.ts';
import type { Warning } from './health.ts';

/** What another try does not change. A device that goes just now (ENODEV, ENETDOWN) is another matter: that is tried again. */
const LASTING: ReadonlySet<string> = new Set(['EINVAL', 'ENETUNREACH', 'EHOSTUNREACH']);

interface Refusal {
  /** As it was when the kernel refused it. */
  readonly state: string;
  readonly gateway?: Address;
  readonly because: string;
}

export class RefusedUplinks {
  readonly #byName = new Map<string, Refusal>();
  #last: { readonly machine: Machine; readonly without: Machine; readonly names: string } | undefined;

  /** True where the report is about an uplink's route: without that uplink, the plan is another one. */
  note(report: ApplyReport, { uplinks }: Facts): boolean {
    if (report.ok || !report.restored || report.failedChange?.kind !== 'add route') return false;
    if (!LASTING.has(report.error.code)) return false;
    const { table, target } = report.failedChange.route;
    const uplink = uplinks.find(({ id }) => ROUTE_TABLE_BASE + id === table);
    if (uplink === undefined || this.#byName.has(uplink.name)) return false;
    const gateway = target.kind === 'unicast' ? target.gateway : undefined;
    const because = report.error.message;
    this.#byName.set(uplink.name, { state: plainText(uplink), because, ...(gateway !== undefined && { gateway }) });
    return true;
  }

  /** Every uplink gets another try. */
  clear(): void {
    this.#byName.clear();
  }

  /** The machine with refused uplinks down; the same object for the same machine. One that looks otherwise now gets another try. */
  without(machine: Machine): Machine {
    for (const [name, { state }] of this.#byName) {
      const uplink = machine.facts.uplinks.find((candidate) => candidate.name === name);
      if (uplink === undefined || plainText(uplink) !== state) this.#byName.delete(name);
    }
    if (this.#byName.size === 0) return machine;
    const names = [...this.#byName.keys()].sort().join();
    if (this.#last?.machine === machine && this.#last.names === names) return this.#last.without;
    const uplinks = machine.facts.uplinks.map((uplink) => (this.#byName.has(uplink.name) ? down(uplink) : uplink));
    this.#last = { machine, names, without: { ...machine, facts: { ...machine.facts, uplinks } } };
    return this.#last.without;
  }

  warning(uplinks: readonly Uplink[]): Warning | undefined {
    const refused = uplinks.flatMap(({ name, at }) => {
      const refusal = this.#byName.get(name);
      return refusal === undefined ? [] : [describe(name, at.file, refusal)];
    });
    if (refused.length === 0) return undefined;
    const message = `uplinks whose routes the kernel refuses, so that they count as down: ${refused.join('; ')}`;
    return { message, hint: 'it is tried again when the gateway, the device or its addresses change' };
  }
}

function describe(name: string, file: string, { gateway, because }: Refusal): string {
  const by = gateway === undefined ? '' : ` by gateway ${formatAddress(gateway)}`;
  return `${name}${by} (${file}): ${because}`;
}

function down(uplink: UplinkState): UplinkState {
  return { ...uplink, up: false, v4: false, v6: false };
}
