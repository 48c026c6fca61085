import { Command, Option } from 'commander';
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
import { renderPlan, renderStaticPlan } from '../render-plan.ts';

interface PlanOptions extends JsonOption {
  readonly static?: string;
  readonly nft?: true;
  readonly diff?: true;
}

export function planCommand(context: CliContext): Command {
  const command = new Command('plan')
    .description('what the files make of the kernel: routing rules, routes, nftables')
    .option('--nft', 'only the nftables ruleset, as "nft -f" reads it')
    .option('--diff', 'only how it differs from what is in the kernel now')
    .addOption(
      new Option(
        '--static <directory>',
        'write pointsman.nft there: what "nft -f" loads before the network and the daemon are up',
      ).conflicts(['nft', 'diff']),
    )
    .addOption(jsonOption())
    .action(async ({ json, nft, diff, static: directory }: PlanOptions) => {
      const terminal = terminalOf(context, command);
      if (directory !== undefined) {
        const { writeStaticPlan } = await import('../write-static-plan.ts');
        const written = await writeStaticPlan(directory, offlineOptions(command, terminal));
        if (json) writeJson(terminal, written);
        else terminal.out(renderStaticPlan(written, terminal.outColour));
        return;
      }
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
      else terminal.data(renderPlan(plan, { colour: terminal.outColour, nft: nft === true, diff: diff === true }));
    });
  return addExamples(command, [
    ['pointsman plan', 'everything that should be in the kernel'],
    ['pointsman plan --nft | sudo nft -c -f -', 'have nft check the ruleset'],
    ['sudo pointsman plan --diff', 'what somebody else has changed'],
    [
      'sudo pointsman plan --static /etc/pointsman/boot',
      'what may pass before the daemon runs: nft -f /etc/pointsman/boot/pointsman.nft',
    ],
  ]);
}
