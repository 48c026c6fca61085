import { u64 } from '../netlink/bytes.ts';
import type { NetlinkRequest } from '../netlink/message.ts';
import { encodeElementAdd, encodeElementDelete } from '../netlink/nftables-element.ts';
import { NFPROTO_INET } from '../netlink/uapi.ts';
import type { NftCommand } from '../plan/nft/command.ts';
import type { MapElement } from '../plan/nft/ruleset.ts';
import { TABLE } from '../plan/reserved.ts';
import { elementData } from './element-data.ts';

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
