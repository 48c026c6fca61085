import { Command, Option } from 'commander';
import type { AppsReport } from '../../api/apps.ts';
import { printable } from '../../net/printable.ts';
import { pathsFor } from '../../store/paths.ts';
import { addExamples, type CliContext, clientOf, globalOptions, terminalOf, writeJson } from '../context.ts';
import { type JsonOption, jsonOption } from '../options.ts';
import { withProgress } from '../progress.ts';
import { choosePrograms, renderApps } from '../render-apps.ts';

interface AppsOptions extends JsonOption {
  readonly all?: true;
  readonly unmatched?: true;
}

export function appsCommand(context: CliContext): Command {
  const command = new Command('apps')
    .description('what runs here: which application each program is, and which programs no policy is about')
    .option('--all', 'also programs without a policy that have no internet socket open')
    .addOption(new Option('--unmatched', 'only programs without a policy'))
    .addOption(jsonOption())
    .action(async ({ json, all, unmatched }: AppsOptions) => {
      const terminal = terminalOf(context, command);
      const asking = clientOf(command).get<AppsReport>('/v1/apps');
      const report = await withProgress(terminal, 'looking at all processes', asking);
      const choice = { all: all === true, unmatched: unmatched === true };
      if (json) writeJson(terminal, choosePrograms(report, choice));
      else
        terminal.data(
          renderApps(report, {
            ...choice,
            colour: terminal.outColour,
            root: pathsFor(globalOptions(command).root).root,
          }),
        );
      if (!json && report.incomplete !== undefined) terminal.err(`note: ${printable(report.incomplete)}\n`);
    });
  return addExamples(command, [
    ['sudo pointsman apps', 'applications that run, and what else has sockets open'],
    ['sudo pointsman apps --unmatched', 'what a policy could still be written for'],
    ['sudo pointsman apps --all --json', 'everything, for scripts'],
  ]);
}
