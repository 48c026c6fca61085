import { Command } from 'commander';
import type { ReloadReport, ReloadRequest } from '../../api/request.ts';
import { printable } from '../../net/printable.ts';
import { renderDiagnostics } from '../../policy/caret.ts';
import { clockTime } from '../../watch/local-time.ts';
import { addExamples, type CliContext, clientOf, terminalOf, writeJson } from '../context.ts';
import { formatDuration } from '../duration.ts';
import { EXIT } from '../exit-code.ts';
import { confirmOption, type JsonOption, jsonOption } from '../options.ts';
import { withProgress } from '../progress.ts';

/** Applications named; the rest is counted. */
const MAX_APPS_NAMED = 10;

export function reloadCommand(context: CliContext): Command {
  const command = new Command('reload')
    .description('read all files again now (saved files are read by themselves, too)')
    .addOption(confirmOption('go back to the policies before, unless "pointsman confirm" comes within this time'))
    .addOption(jsonOption())
    .action(async ({ confirm: confirmMs, json }: JsonOption & { readonly confirm?: number }) => {
      const terminal = terminalOf(context, command);
      const request: ReloadRequest = confirmMs === undefined ? {} : { confirmMs };
      const reloading = clientOf(command).post<ReloadReport>('/v1/reload', request);
      const report = await withProgress(terminal, 'reading the files', reloading);
      if (json) writeJson(terminal, report);
      else {
        terminal.err(renderDiagnostics(report.diagnostics, { colour: terminal.errColour }));
        terminal.out(renderReload(report, confirmMs));
      }
      if (report.diagnostics.some(({ severity }) => severity === 'error')) context.exit(EXIT.failed);
    });
  return addExamples(command, [
    ['sudo pointsman reload', 'and say what changed'],
    ['sudo pointsman reload --confirm 30s', 'taken back unless you confirm'],
  ]);
}

/** Ends with a newline. */
export function renderReload(report: ReloadReport, confirmMs: number | undefined): string {
  const { revision, changes, durationMs, changedApps, confirmBeforeMs } = report;
  const named = changedApps.slice(0, MAX_APPS_NAMED).map(printable).join(', ');
  const more = changedApps.length > MAX_APPS_NAMED ? ` and ${changedApps.length - MAX_APPS_NAMED} more` : '';
  const what = changedApps.length === 0 ? 'no application changed' : `changed: ${named}${more}`;
  const steps = `${changes} ${changes === 1 ? 'change' : 'changes'} in the kernel in ${Math.round(durationMs)} ms`;
  const confirm =
    confirmMs === undefined
      ? ''
      : `Taken back ${untilText(confirmMs, confirmBeforeMs)} unless you run: sudo pointsman confirm\n`;
  return `Revision ${revision} is in force: ${what}; ${steps}.\n${confirm}`;
}

/** `at 20:47:59, in 30 s`. */
function untilText(confirmMs: number, beforeMs: number | undefined): string {
  const at = beforeMs === undefined ? '' : `at ${clockTime(beforeMs)}, `;
  return `${at}in ${formatDuration(confirmMs)}`;
}
