/** What people's questions about processes and flows are answered from. Opened for one question, so that it is of now. */
import type { CreatorOwners } from '../identify/creator-owner.ts';
import type { ExecutableFiles } from '../identify/executable-files.ts';
import { type IdentitySources, identitySources } from '../identify/identify-flow.ts';
import { type PolicyNames, policyNames } from '../identify/policy-names.ts';
import { SocketDiag } from '../identify/socket-diag.ts';
import { openCgroupTree } from '../kernel/cgroup.ts';
import type { Conntrack, Kernel, Routing } from '../kernel/kernel.ts';
import { openProc } from '../kernel/proc.ts';
import type { SharedSocketMarks } from '../kernel/socket-marks.ts';
import type { WallMs } from '../net/clock.ts';
import type { Facts } from '../policy/facts.ts';
import type { AppIndex } from '../policy/match-app.ts';
import type { InForce } from './in-force.ts';
import type { MarkNumbers } from './mark-in-words.ts';
import { isInOurNetwork } from './network-namespace-of.ts';

export interface EvidenceSources extends IdentitySources {
  readonly creators?: CreatorOwners;
  /** Absent where sockets are not marked. */
  readonly marks?: SharedSocketMarks;
  readonly conntrack: Conntrack;
  readonly routing: Pick<Routing, 'addresses'>;
  readonly index: AppIndex;
  readonly facts: Facts;
  readonly names: PolicyNames;
  readonly numbers: MarkNumbers;
  readonly ownPid: number;
  readonly nowMs: WallMs;
  readonly isInOurNetwork: (pid: number) => boolean;
}

export interface EvidenceParts {
  readonly kernel: Pick<Kernel, 'conntrack' | 'routing' | 'sockets'>;
  readonly inForce: InForce;
  /** Kept between questions: it knows what a file was before it was replaced. */
  readonly executables: ExecutableFiles;
  readonly nowMs: WallMs;
}

/** Throws KernelError. */
export function openEvidence({ kernel, inForce, executables, nowMs }: EvidenceParts): EvidenceSources & Disposable {
  const { index, machine, ids, snapshot } = inForce;
  const marks = kernel.sockets;
  const diag = new SocketDiag();
  executables.learn(index.byExecutable.keys());
  return {
    ...identitySources(openProc(), diag, openCgroupTree(), marks),
    executables,
    ...(marks !== undefined && { marks }),
    conntrack: kernel.conntrack,
    routing: kernel.routing,
    index,
    facts: machine.facts,
    names: policyNames(index, snapshot.programs),
    numbers: ids,
    ownPid: process.pid,
    nowMs,
    isInOurNetwork,
    [Symbol.dispose]: () => diag[Symbol.dispose](),
  };
}
