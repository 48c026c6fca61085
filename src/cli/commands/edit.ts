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
      const [{ editedPolicy, EditedElsewhere }, { askAfterMistakes, EditedCopy, earlierCopies, orInterrupted }, force] =
        await Promise.all([import('../edited-policy.ts'), import('../edit-copy.ts'), import('../put-into-force.ts')]);
      const policy = editedPolicy(paths, app);
      for (const earlier of earlierCopies(policy))
        terminal.err(`note: what was written in an earlier edit, and not used, is in ${printable(earlier)}\n`);
      using copy = new EditedCopy(policy.name, policy.bytes);
      try {
        for (;;) {
          const bytes = copy.edit(process.env);
          if (Buffer.compare(bytes, policy.bytes) === 0) {
            copy.done();
            terminal.err(`${policy.isNew ? 'Nothing was written' : 'Nothing was changed'}.\n`);
            return;
          }
          if (policy.isChangedMeanwhile()) throw new EditedElsewhere(policy.path);
          const edited = { paths, policy, bytes, copyPath: copy.path, confirmMs };
          const outcome = await orInterrupted(force.putIntoForce(clientOf(command), edited));
          if (outcome.kind !== 'mistakes') {
            copy.done();
            tell(terminal, outcome, { json, path: policy.path, confirmMs });
            return;
          }
          if (json) writeJson(terminal, { applied: false, diagnostics: outcome.diagnostics });
          else terminal.err(renderDiagnostics(outcome.diagnostics, { colour: terminal.errColour }));
          const next = await askAfterMistakes();
          if (next === 'edit') continue;
          if (next === 'discard') copy.done();
          terminal.err('Nothing has been put into force.\n');
          context.exit(EXIT.failed);
          return;
        }
      } finally {
        // It may be an hour's work.
        if (copy.kept !== undefined) terminal.err(`note: what you wrote is in ${printable(copy.kept)}\n`);
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
  else if (outcome.kind === 'written') {
    terminal.err(renderDiagnostics(outcome.diagnostics, { colour: terminal.errColour }));
    terminal.out(`${printable(path)} is written; no daemon runs: it counts from the next start.\n`);
  } else {
    terminal.err(renderDiagnostics(outcome.report.diagnostics, { colour: terminal.errColour }));
    terminal.out(`${printable(path)}: ${renderReload(outcome.report, confirmMs)}`);
  }
}
