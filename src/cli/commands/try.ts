import { Command } from 'commander';
import { printable } from '../../net/printable.ts';
import { renderDiagnostics } from '../../policy/caret.ts';
import { pathsFor } from '../../store/paths.ts';
import { addExamples, type CliContext, clientOf, globalOptions, terminalOf, writeJson } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { confirmOption, type JsonOption, jsonOption } from '../options.ts';
import { withProgress } from '../progress.ts';
import { renderReload } from './reload.ts';

const DEFAULT_CONFIRM_MS = 60_000;

export function tryCommand(context: CliContext): Command {
  const command = new Command('try')
    .description('put the files of a directory into force on trial; "pointsman confirm" makes them the administrator’s')
    .argument('<dir>', 'laid out as /etc/pointsman, or with the files themselves')
    .addOption(
      confirmOption('take them back, unless "pointsman confirm" comes within this time').default(
        DEFAULT_CONFIRM_MS,
        '60s',
      ),
    )
    .addOption(jsonOption())
    .action(async (directory: string, { confirm: confirmMs, json }: JsonOption & { readonly confirm: number }) => {
      const terminal = terminalOf(context, command);
      const [{ checkPaths }, { findTrial }, { tryFiles }] = await Promise.all([
        import('../check-files.ts'),
        import('../tried-files.ts'),
        import('../try-files.ts'),
      ]);
      const checked = checkPaths([directory], pathsFor(globalOptions(command).root));
      if (checked.errors > 0) {
        if (json) writeJson(terminal, { applied: false, diagnostics: checked.diagnostics });
        else
          terminal.err(`${renderDiagnostics(checked.diagnostics, { colour: terminal.errColour })}${NOTHING_APPLIED}`);
        context.exit(EXIT.failed);
        return;
      }
      const trying = tryFiles(clientOf(command), { ...findTrial(directory), confirmMs });
      const report = await withProgress(terminal, 'trying the files', trying);
      if (json) writeJson(terminal, report);
      else {
        terminal.err(renderDiagnostics(report.diagnostics, { colour: terminal.errColour }));
        if (report.applied) terminal.out(`On trial: ${printable(directory)}. ${renderReload(report, confirmMs)}`);
        else terminal.err(NOTHING_APPLIED);
      }
      if (!report.applied) context.exit(EXIT.failed);
    });
  return addExamples(command, [
    ['sudo pointsman try ./new --confirm 60s', 'files of the same name count here instead of those in /etc/pointsman'],
    ['sudo pointsman confirm', 'and keep them: they are copied into /etc/pointsman'],
    ['sudo pointsman reload', 'or take them back before the time is over'],
  ]);
}

const NOTHING_APPLIED = 'Nothing has been put into force.\n';
