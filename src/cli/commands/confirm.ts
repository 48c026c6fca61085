import { Command } from 'commander';
import { addExamples, type CliContext, clientOf, terminalOf } from '../context.ts';

export function confirmCommand(context: CliContext): Command {
  const command = new Command('confirm')
    .description('keep what was put into force with --confirm, or on trial')
    .action(async () => {
      await clientOf(command).post('/v1/confirm');
      terminalOf(context, command).out('Confirmed: the policies stay in force.\n');
    });
  return addExamples(command, [
    ['sudo pointsman reload --confirm 30s', 'try new policies'],
    ['sudo pointsman confirm', 'and keep them'],
  ]);
}
