/**
 * What no process sends is asked about where policies may say something of it that the maps of programs, cgroups and users do not: a
 * socket of the kernel's has the cgroup of whoever made it, and no user.
 */
import type { PolicySet } from '../policy/effective-policy.ts';
import type { AppIndex } from '../policy/match-app.ts';
import { speaksOfCgroups, speaksOfUsers } from '../policy/told-by.ts';
import { CHAIN } from './compile-app.ts';
import { goto, isNot, jump, rule, verdict } from './nft/expressions.ts';
import type { Chain, Rule } from './nft/ruleset.ts';

/** Of no user: (uid_t) -1. What has no socket of a process has no uid at all, and passes no comparison. */
const NO_UID = 0xffff_ffff;
/** Back to where it came from goes what a process sends. */
export const leaveProcesses: Rule = rule(isNot({ kind: 'meta skuid' }, NO_UID), verdict({ kind: 'return' }));

const OF_KERNEL = 'of_kernel';

export interface CompiledKernel {
  readonly chains: readonly Chain[];
  /** Before anything else tells an outgoing flow. */
  readonly first: readonly Rule[];
}

export function compileKernel(index: AppIndex, { systemDefault }: Pick<PolicySet, 'systemDefault'>): CompiledKernel {
  const mayDiffer =
    index.byKernel.size > 0 || systemDefault.otherwise.do !== 'allow' || speaksOfCgroups(index) || speaksOfUsers(index);
  if (!mayDiffer) return { chains: [], first: [] };
  const comment = 'what the kernel itself sends';
  return {
    chains: [{ name: OF_KERNEL, comment, rules: [leaveProcesses, rule(goto(CHAIN.ask))] }],
    first: [rule(jump(OF_KERNEL))],
  };
}
