import type { Flow } from '../net/flow.ts';
import { type DecideContext, decide } from './decide.ts';
import type { Decision } from './decision.ts';
import type { EffectivePolicy } from './effective-policy.ts';
import { KERNEL_SENDERS, kernelSender } from './kernel-senders.ts';
import { type AppIndex, emptyIndex } from './match-app.ts';

/** No program can have this path, so nothing but the stand-in ever matches it. */
const STAND_IN = '';
const NOBODY = 0;

/** What happens to a flow of an application, whichever of its programs sends it: for those who know only its name or number. */
export function decideAsApp(context: DecideContext, policy: EffectivePolicy, flow: Flow): Decision {
  const [first] = policy.match;
  if (first !== undefined && policy.match.every(({ kind }) => kind === 'kernel')) {
    const byKernel = new Map(KERNEL_SENDERS.map((sender) => [sender, { policy, match: first }]));
    const sends = kernelSender(context.facts, flow);
    // A flow that none of what it names would send is as good as from any of that.
    const isNamed = policy.match.some(({ value }) => value === sends);
    const told = isNamed ? sends : KERNEL_SENDERS.find((sender) => sender === first.value);
    return decide(
      { ...context, index: { ...emptyIndex(), byKernel } },
      { kind: 'kernel', ...(told !== undefined && { sender: told }) },
      flow,
    );
  }
  const at = policy.match[0]?.at ?? { file: policy.app, line: 1, column: 1 };
  const byExecutable: AppIndex['byExecutable'] = new Map([
    [STAND_IN, { policy, match: { kind: 'exec', value: STAND_IN, at } }],
  ]);
  const index: AppIndex = { ...emptyIndex(), byExecutable };
  return decide({ ...context, index }, { kind: 'process', pid: NOBODY, uid: NOBODY, executable: STAND_IN }, flow);
}
