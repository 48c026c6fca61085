/**
 * cgroup/sock_release: who had a port is written down when its socket is closed, since its packets may be asked about only then.
 * Before the socket is gone for whoever looks for it (inet_release()), so that there is no moment in which it is neither there nor here.
 */
import { assemble } from './assembler.ts';
import { and32, branch, call, exit, type Instruction, label, load, move, store } from './instruction.ts';
import type { KernelLayout } from './kernel-layout.ts';
import { lookup, read, update } from './kernel-memory.ts';
import type { MapDescriptors } from './maps.ts';
import { onlyOwnNamespace } from './own-namespace.ts';
import {
  CREATOR_RECORD_BYTES,
  RELEASED_RECORD_BYTES,
  RELEASED_RECORD_FIELDS,
  RELEASED_SOCKET_BYTES,
  USER_RELEASED_MASK,
  USER_RELEASED_RECORD_BYTES,
  USER_RELEASED_RECORD_FIELDS,
} from './records.ts';
import {
  BPF_FUNC_get_current_uid_gid,
  BPF_FUNC_get_socket_cookie,
  BPF_FUNC_ktime_get_ns,
  BPF_SOCK_PROTOCOL,
} from './uapi.ts';

/** The stack, from its end. */
const INDEX = -4;
const KEY = -16;
const PORT = KEY;
const PROTOCOL = KEY + 4;
const RECORD = KEY - RELEASED_RECORD_BYTES;
const BEFORE = RECORD + RELEASED_SOCKET_BYTES;
const PLACE = RECORD - 8;
const USER = PLACE + 4;
const OF_USER = PLACE - USER_RELEASED_RECORD_BYTES;

const { cookie, atNs, remotePort } = RELEASED_RECORD_FIELDS;
const FIELDS = [cookie, atNs, remotePort];
/** Whatever it returns, the socket is closed. */
const ALLOW = 1;

/* r6: the socket. r8: value of `config`. */

/** Instructions for BPF_PROG_TYPE_CGROUP_SOCK with BPF_CGROUP_INET_SOCK_RELEASE, license GPL. */
export function releaseProgram({ sock_common }: KernelLayout, maps: MapDescriptors): Uint8Array {
  return assemble([
    move('r6', 'r1'),
    ...onlyOwnNamespace(maps, { indexSlot: INDEX, otherwise: 'done' }),
    load('u32', 'r1', 'r6', BPF_SOCK_PROTOCOL),
    store('u32', 'r10', PROTOCOL, 'r1'),
    store('u32', 'r10', PORT, 0),
    // What it is given stands for the socket itself.
    ...read(PORT, 2, 'r6', sock_common.skc_num),
    load('u32', 'r1', 'r10', PORT),
    // It has sent nothing: what sends has a port, if only for that.
    branch('r1', 'equal', 0, 'done'),
    ...FIELDS.map((field) => store('u64', 'r10', BEFORE + field, 0)),
    ...lookup(maps.released, KEY),
    branch('r0', 'equal', 0, 'first'),
    ...FIELDS.flatMap((field) => [load('u64', 'r1', 'r0', field), store('u64', 'r10', BEFORE + field, 'r1')]),
    label('first'),
    store('u64', 'r10', RECORD + remotePort, 0),
    ...read(RECORD + remotePort, 2, 'r6', sock_common.skc_dport),
    move('r1', 'r6'),
    call(BPF_FUNC_get_socket_cookie),
    store('u64', 'r10', RECORD + cookie, 'r0'),
    call(BPF_FUNC_ktime_get_ns),
    store('u64', 'r10', RECORD + atNs, 'r0'),
    ...update(maps.released, KEY, RECORD),
    ...keepForUser(maps),
    label('done'),
    move('r0', ALLOW),
    exit(),
  ]);
}

const WORD = 8;
const CREATOR_WORDS = Array.from({ length: CREATOR_RECORD_BYTES / WORD }, (_, index) => index * WORD);

/** Nobody else can push it out there, neither this socket nor who made it. */
function keepForUser(maps: MapDescriptors): readonly Instruction[] {
  const creator = OF_USER + USER_RELEASED_RECORD_FIELDS.creator;
  return [
    ...FIELDS.flatMap((field) => [
      load('u64', 'r1', 'r10', RECORD + field),
      store('u64', 'r10', OF_USER + field, 'r1'),
    ]),
    load('u64', 'r1', 'r10', KEY),
    store('u64', 'r10', OF_USER + USER_RELEASED_RECORD_FIELDS.port, 'r1'),
    ...CREATOR_WORDS.map((word) => store('u64', 'r10', creator + word, 0)),
    ...lookup(maps.creators, RECORD + cookie),
    branch('r0', 'equal', 0, 'not noted'),
    ...CREATOR_WORDS.flatMap((word) => [load('u64', 'r1', 'r0', word), store('u64', 'r10', creator + word, 'r1')]),
    label('not noted'),
    // Both at once: gid << 32 | uid.
    call(BPF_FUNC_get_current_uid_gid),
    store('u32', 'r10', USER, 'r0'),
    load('u32', 'r1', 'r10', PORT),
    and32('r1', USER_RELEASED_MASK),
    store('u32', 'r10', PLACE, 'r1'),
    ...update(maps.closers, PLACE, OF_USER),
  ];
}
