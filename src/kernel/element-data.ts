/** What elements of maps say, and rules, as nf_tables has it. */
import { u32 } from '../netlink/bytes.ts';
import { type ElementData, NFT_GOTO, NFT_JUMP, NFT_RETURN } from '../netlink/nftables-element.ts';
import { NF_ACCEPT, NF_DROP } from '../netlink/uapi.ts';
import type { MapElement, Verdict } from '../plan/nft/ruleset.ts';

const VERDICT_CODES: Readonly<Record<Verdict['kind'], number>> = {
  accept: NF_ACCEPT,
  drop: NF_DROP,
  return: NFT_RETURN,
  jump: NFT_JUMP,
  goto: NFT_GOTO,
};

export function elementData({ data }: MapElement): ElementData {
  return data.kind === 'mark' ? { kind: 'value', bytes: u32(data.mark) } : verdictData(data.verdict);
}

export function verdictData(verdict: Verdict): Extract<ElementData, { readonly kind: 'verdict' }> {
  const code = VERDICT_CODES[verdict.kind];
  return 'chain' in verdict
    ? { kind: 'verdict', verdict: code, chain: verdict.chain }
    : { kind: 'verdict', verdict: code };
}
