/**
 * What no process sends is asked about where policies may say something of it that the maps of programs, cgroups and users do not: a
 * socket of the kernel's has the cgroup of whoever made it, and no user. NFS alone gives its sockets a file (net/sunrpc/xprtsock.c,
 * xs_create_sock), and so the user root: what root sends from or to its ports is asked about, too.
 */
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import { NFS_PORT, RPC_SOURCE_PORTS } from '../policy/kernel-senders.ts';
import type { AppIndex } from '../policy/match-app.ts';
import { speaksOfCgroups, speaksOfUsers } from '../policy/told-by.ts';
import { CHAIN } from './compile-app.ts';
import { goto, inSet, is, isNot, jump, rule, verdict } from './nft/expressions.ts';
import type { Chain, NftSet, Rule } from './nft/ruleset.ts';

/** Of no user: (uid_t) -1. What has no socket of a process has no uid at all, and passes no comparison. */
const NO_UID = 0xffff_ffff;
/** Back to where it came from goes what a process sends. */
export const leaveProcesses: Rule = rule(isNot({ kind: 'meta skuid' }, NO_UID), verdict({ kind: 'return' }));

const OF_KERNEL = 'of_kernel';
const ROOT = 0;
const RPC_PORTS: NftSet = {
  name: 'rpc_ports',
  key: ['inet_service'],
  flags: ['interval'],
  elements: [{ key: [{ first: BigInt(RPC_SOURCE_PORTS.first), last: BigInt(RPC_SOURCE_PORTS.last) }] }],
};
const byTransport = is({ kind: 'meta l4proto' }, IPPROTO_TCP, IPPROTO_UDP);
const byRoot = is({ kind: 'meta skuid' }, ROOT);
const ofNfs: readonly Rule[] = [
  rule(byRoot, byTransport, inSet(RPC_PORTS.name, { kind: 'th sport' }), goto(CHAIN.ask)),
  rule(byRoot, byTransport, is({ kind: 'th dport' }, NFS_PORT), goto(CHAIN.ask)),
];

export interface CompiledKernel {
  readonly sets: readonly NftSet[];
  readonly chains: readonly Chain[];
  /** Before anything else tells an outgoing flow. */
  readonly first: readonly Rule[];
}

const NOTHING: CompiledKernel = { sets: [], chains: [], first: [] };

export function compileKernel(index: AppIndex, { systemDefault }: Pick<PolicySet, 'systemDefault'>): CompiledKernel {
  const mayDiffer =
    index.byKernel.size > 0 || systemDefault.otherwise.do !== 'allow' || speaksOfCgroups(index) || speaksOfUsers(index);
  if (!mayDiffer) return NOTHING;
  const comment = 'what the kernel itself sends';
  return {
    sets: [RPC_PORTS],
    chains: [{ name: OF_KERNEL, comment, rules: [...ofNfs, leaveProcesses, rule(goto(CHAIN.ask))] }],
    first: [rule(jump(OF_KERNEL))],
  };
}
