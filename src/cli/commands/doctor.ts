import { Command } from 'commander';
import { addExamples, type CliContext, clientOf, globalOptions, terminalOf, writeJson } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { type JsonOption, jsonOption } from '../options.ts';
import { withProgress } from '../progress.ts';
import { renderDoctor } from '../render-doctor.ts';

export function doctorCommand(context: CliContext): Command {
  const command = new Command('doctor')
    .description('what works on this machine, and what would mend what does not; needs no daemon')
    .option('--probe', 'the daemon also sends as programs of policies, and counts; nothing leaves the machine')
    .addOption(jsonOption())
    .action(async ({ json, probe = false }: JsonOption & { readonly probe?: boolean }) => {
      const terminal = terminalOf(context, command);
      const { examine } = await import('../doctor.ts');
      const { root } = globalOptions(command);
      const asked = examine({ root, client: clientOf(command), probe });
      const report = await withProgress(terminal, 'looking at this machine', asked);
      if (json) writeJson(terminal, report);
      else terminal.out(renderDoctor(report, { colour: terminal.outColour }));
      if (report.findings.some(({ state }) => state === 'broken')) context.exit(EXIT.failed);
    });
  return addExamples(command, [
    ['sudo pointsman doctor', 'all of it'],
    ['pointsman doctor', 'what anybody may see'],
    ['sudo pointsman doctor --probe', 'does the kernel do what policies say?'],
    ['sudo pointsman doctor --json | jq \'.findings[] | select(.state == "broken")\'', 'for scripts'],
  ]);
}
