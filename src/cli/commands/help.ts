import { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { addExamples, type CliContext, terminalOf } from '../context.ts';
import { EXIT, renderExitCodes } from '../exit-code.ts';

const EXIT_CODES_TOPIC = 'exit-codes';

export function helpCommand(context: CliContext): Command {
  const command = new Command('help')
    .description('help for a command, or for the topic exit-codes')
    .argument('[words...]', 'a command, or exit-codes')
    .action((words: readonly string[]) => {
      if (words.length === 1 && words[0] === EXIT_CODES_TOPIC) {
        terminalOf(context, command).out(renderExitCodes());
        return;
      }
      find(command.parent ?? command, words).outputHelp();
    });
  return addExamples(command, [
    ['pointsman help explain', 'what explain does, with examples'],
    [`pointsman help ${EXIT_CODES_TOPIC}`, 'how commands end'],
  ]);
}

function find(from: Command, words: readonly string[]): Command {
  const [word, ...rest] = words;
  if (word === undefined) return from;
  const next = from.commands.find((command) => command.name() === word);
  if (next !== undefined) return find(next, rest);
  const known = [...from.commands.map((command) => command.name()), EXIT_CODES_TOPIC].join(', ');
  throw new CliError(EXIT.usage, `there is no command "${word}"`, { hint: `known: ${known}` });
}
