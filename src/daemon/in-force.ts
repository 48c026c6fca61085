import type { Prints } from '../kernel/kernel.ts';
import type { Facts } from '../policy/facts.ts';
import type { Wanted } from './wanted.ts';

/** The last stage of path A: what was wanted, and the kernel has it. */
export interface InForce extends Wanted {
  /** Of nftables, at which it was seen to be so (NFTA_GEN_ID). */
  readonly generation: number;
  /** Of our table, where it has been looked at since we changed it. */
  readonly prints: Prints;
}

/** With what names have been answered since the round: packets are decided by that already. */
export const factsNow = ({ machine, snapshot }: Pick<InForce, 'machine' | 'snapshot'>): Facts => ({
  ...machine.facts,
  names: snapshot.facts.names,
});

/** Around each change of nftables by us, so that it is not taken for somebody else's. */
export interface OwnChange {
  readonly begin: () => void;
  /** What came later than this generation is somebody else's. */
  readonly end: (generation: number) => void;
}
