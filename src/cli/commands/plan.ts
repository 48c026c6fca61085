import { Command } from 'commander';
import type { PlanReport } from '../../api/request.ts';
import { askDaemonOr } from '../ask-daemon.ts';
import {
  addExamples,
  type CliContext,
  clientOf,
  offlineOptions,
  socketPathOf,
  terminalOf,
  writeJson,
} from '../context.ts';
import { type JsonOption, jsonOption } from '../options.ts';
import { withProgress } from '../progress.ts';
import { renderPlan } from '../render-plan.ts';

interface PlanOptions extends JsonOption {
  readonly nft?: true;
  readonly diff?: true;
}

export function planCommand(context: CliContext): Command {
  const command = new Command('plan')
    .description('what the files make of the kernel: routing rules, routes, nftables')
    .option('--nft', 'only the nftables ruleset, as "nft -f" reads it')
    .option('--diff', 'only how it differs from what is in the kernel now')
    .addOption(jsonOption())
    .action(async ({ json, nft, diff }: PlanOptions) => {
      const terminal = terminalOf(context, command);
      const asking = askDaemonOr(
        terminal,
        socketPathOf(command),
        () => clientOf(command).get<PlanReport>('/v1/plan'),
        async () =>
          (await import('../offline.ts')).planOffline({
            ...offlineOptions(command, terminal),
            needsDiff: diff === true,
          }),
      );
      const plan = await withProgress(terminal, 'computing the plan', asking);
      if (json) writeJson(terminal, plan);
      else terminal.out(renderPlan(plan, { colour: terminal.outColour, nft: nft === true, diff: diff === true }));
    });
  return addExamples(command, [
    ['pointsman plan', 'everything that should be in the kernel'],
    ['pointsman plan --nft | sudo nft -c -f -', 'have nft check the ruleset'],
    ['sudo pointsman plan --diff', 'what somebody else has changed'],
  ]);
}
