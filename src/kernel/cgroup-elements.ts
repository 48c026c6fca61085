import { u32, u64 } from '../netlink/bytes.ts';
import type { NetlinkRequest } from '../netlink/message.ts';
import {
  type ElementData,
  encodeElementAdd,
  encodeElementDelete,
  NFT_GOTO,
  NFT_JUMP,
  NFT_RETURN,
} from '../netlink/nftables-element.ts';
import { NF_ACCEPT, NF_DROP, NFPROTO_INET } from '../netlink/uapi.ts';
import type { NftCommand } from '../plan/nft/command.ts';
import type { MapElement, Verdict } from '../plan/nft/ruleset.ts';
import { TABLE } from '../plan/reserved.ts';

const VERDICT_CODES: Readonly<Record<Verdict['kind'], number>> = {
  accept: NF_ACCEPT,
  drop: NF_DROP,
  return: NFT_RETURN,
  jump: NFT_JUMP,
  goto: NFT_GOTO,
};

/** What a transaction's commands on maps with cgroup keys are in nfnetlink; nft has done all the others. */
export function cgroupElementRequests(commands: readonly NftCommand[]): NetlinkRequest[] {
  return commands.flatMap((command): NetlinkRequest[] => {
    if (command.kind !== 'add map elements' && command.kind !== 'delete map elements') return [];
    if (command.map.key !== 'cgroupsv2') return [];
    const set = { family: NFPROTO_INET, table: TABLE, set: command.map.name };
    if (command.kind === 'delete map elements') return encodeElementDelete(set, command.elements.map(encodeKey));
    const elements = command.elements.map((element) => ({ ...encodeKey(element), data: elementData(element) }));
    return encodeElementAdd(set, elements, { ifExists: 'keep' });
  });
}

/** A cgroup's id in host order. */
const encodeKey = ({ key }: MapElement): { readonly key: Uint8Array } => ({ key: u64(key) });

function elementData({ data }: MapElement): ElementData {
  if (data.kind === 'mark') return { kind: 'value', bytes: u32(data.mark) };
  const { verdict } = data;
  const code = VERDICT_CODES[verdict.kind];
  return 'chain' in verdict
    ? { kind: 'verdict', verdict: code, chain: verdict.chain }
    : { kind: 'verdict', verdict: code };
}
