/** Sockets of other network namespaces are nobody's business here. */
import { branch, call, type Instruction, load, move, store } from './instruction.ts';
import { lookup } from './kernel-memory.ts';
import type { MapDescriptors } from './maps.ts';
import { CONFIG_FIELDS } from './records.ts';
import { BPF_FUNC_get_netns_cookie } from './uapi.ts';

/** r6: the socket (struct bpf_sock). r8 = value of `config`; jumps to `otherwise` where the socket is of another namespace. */
export function onlyOwnNamespace(
  maps: MapDescriptors,
  { indexSlot, otherwise }: { readonly indexSlot: number; readonly otherwise: string },
): readonly Instruction[] {
  return [
    store('u32', 'r10', indexSlot, 0),
    ...lookup(maps.config, indexSlot),
    branch('r0', 'equal', 0, otherwise),
    move('r8', 'r0'),
    move('r1', 'r6'),
    call(BPF_FUNC_get_netns_cookie),
    load('u64', 'r1', 'r8', CONFIG_FIELDS.netnsCookie),
    branch('r0', 'not equal', 'r1', otherwise),
  ];
}
