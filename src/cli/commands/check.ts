import { Command } from 'commander';
import { renderDiagnostics } from '../../policy/caret.ts';
import { pathsFor } from '../../store/paths.ts';
import type { CheckReport } from '../check-files.ts';
import { addExamples, type CliContext, globalOptions, terminalOf, writeJson } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { type JsonOption, jsonOption } from '../options.ts';

export function checkCommand(context: CliContext): Command {
  const command = new Command('check')
    .description('find all mistakes in policy, uplink and default files; needs no daemon and no privileges')
    .argument('[path...]', 'files and directories (default: all that the daemon reads)')
    .option('--strict', 'fail on warnings, too')
    .addOption(jsonOption())
    .action(async (paths: readonly string[], { json, strict }: JsonOption & { readonly strict?: true }) => {
      const terminal = terminalOf(context, command);
      const { checkInstalled, checkPaths } = await import('../check-files.ts');
      const places = pathsFor(globalOptions(command).root);
      const report = paths.length === 0 ? checkInstalled(places) : checkPaths(paths, places);
      if (json) writeJson(terminal, report);
      else terminal.out(renderCheck(report, terminal.outColour));
      if (report.errors > 0 || (strict && report.warnings > 0)) context.exit(EXIT.failed);
    });
  return addExamples(command, [
    ['pointsman check mail.yaml', 'one file'],
    ['pointsman check /etc/pointsman', 'a directory with all that is in it'],
    ['pointsman check --strict .', 'warnings count as errors, for those who build packages'],
    ['pointsman check --json . | jq .errors', 'for scripts and editors'],
  ]);
}

function renderCheck({ files, errors, diagnostics }: CheckReport, colour: boolean): string {
  const what = `${files} ${files === 1 ? 'file' : 'files'}`;
  if (diagnostics.length === 0) return `${what}, no mistakes\n`;
  const rendered = renderDiagnostics(diagnostics, { colour });
  return errors === 0 ? `${rendered}${what}, no mistakes that would keep a file from being used\n` : rendered;
}
