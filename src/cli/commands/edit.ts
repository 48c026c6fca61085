import { Command } from 'commander';
import { printable } from '../../net/printable.ts';
import { renderDiagnostics } from '../../policy/caret.ts';
import { pathsFor } from '../../store/paths.ts';
import { addExamples, type CliContext, clientOf, globalOptions, terminalOf, writeJson } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { confirmOption, type JsonOption, jsonOption } from '../options.ts';
import type { PutOutcome } from '../put-into-force.ts';
import type { Terminal } from '../terminal.ts';
import { renderReload } from './reload.ts';

interface EditOptions extends JsonOption {
  readonly confirm?: number;
}

export function editCommand(context: CliContext): Command {
  const command = new Command('edit')
    .description('edit the administrator’s policy of an application: a copy, which counts when it has no mistakes')
    .argument('<app>', 'id of an application')
    .addOption(confirmOption('go back to what it was, unless "pointsman confirm" comes within this time'))
    .addOption(jsonOption())
    .action(async (app: string, { confirm: confirmMs, json }: EditOptions) => {
      const terminal = terminalOf(context, command);
      const paths = pathsFor(globalOptions(command).root);
      const [{ editedPolicy, EditedElsewhere }, { EditedCopy, wantsToEditAgain }, { putIntoForce }] = await Promise.all(
        [import('../edited-policy.ts'), import('../edit-copy.ts'), import('../put-into-force.ts')],
      );
      const policy = editedPolicy(paths, app);
      using copy = new EditedCopy(policy.name, policy.bytes);
      for (;;) {
        const bytes = copy.edit(process.env);
        if (Buffer.compare(bytes, policy.bytes) === 0) {
          terminal.err(`${policy.isNew ? 'Nothing was written' : 'Nothing was changed'}.\n`);
          return;
        }
        if (policy.isChangedMeanwhile()) {
          copy.keep();
          throw new EditedElsewhere(policy.path, copy.path);
        }
        const edited = { paths, policy, bytes, copyPath: copy.path, confirmMs };
        const outcome = await putIntoForce(clientOf(command), edited).catch((error: unknown) => {
          // It may be an hour's work.
          copy.keep();
          terminal.err(`note: what you wrote is in ${copy.path}\n`);
          throw error;
        });
        if (outcome.kind !== 'mistakes') {
          tell(terminal, outcome, { json, path: policy.path, confirmMs });
          return;
        }
        if (json) writeJson(terminal, { applied: false, diagnostics: outcome.diagnostics });
        else terminal.err(renderDiagnostics(outcome.diagnostics, { colour: terminal.errColour }));
        if (await wantsToEditAgain()) continue;
        terminal.err('Nothing has been put into force; what was edited is discarded.\n');
        context.exit(EXIT.failed);
        return;
      }
    });
  return addExamples(command, [
    ['sudo pointsman edit org.example.Mail', 'in $SUDO_EDITOR, $VISUAL or $EDITOR'],
    ['sudo pointsman edit org.example.Mail --confirm 60s', 'taken back unless you confirm'],
    ['sudo EDITOR=nano pointsman edit curl', 'sudo keeps no environment of its own accord'],
  ]);
}

function tell(
  terminal: Terminal,
  outcome: Exclude<PutOutcome, { readonly kind: 'mistakes' }>,
  {
    json,
    path,
    confirmMs,
  }: { readonly json: true | undefined; readonly path: string; readonly confirmMs: number | undefined },
): void {
  if (json) writeJson(terminal, outcome.kind === 'applied' ? outcome.report : { applied: false, written: path });
  else if (outcome.kind === 'written')
    terminal.out(`${printable(path)} is written; no daemon runs: it counts from the next start.\n`);
  else {
    terminal.err(renderDiagnostics(outcome.report.diagnostics, { colour: terminal.errColour }));
    terminal.out(`${printable(path)}: ${renderReload(outcome.report, confirmMs)}`);
  }
}
