import { Command, Option } from 'commander';
import { DEFAULT_LAB } from '../../lab/lab-words.ts';
import type { CliContext } from '../context.ts';
import { parseLabId } from '../lab-place.ts';
import { labDemoCommand } from './lab-demo.ts';
import { labDownCommand } from './lab-down.ts';
import { labExecCommand } from './lab-exec.ts';
import { labLinkCommand } from './lab-link.ts';
import { labStatusCommand } from './lab-status.ts';
import { labUpCommand } from './lab-up.ts';

const COMMANDS = [labUpCommand, labExecCommand, labLinkCommand, labDemoCommand, labStatusCommand, labDownCommand];

export function labCommand(context: CliContext): Command {
  const command = new Command('lab')
    .description('a small world in network namespaces to try everything in; your own network is not touched')
    .addOption(
      new Option('--id <id>', 'which lab; several can stand side by side; --lab says the same')
        .default(DEFAULT_LAB)
        .argParser((name: string) => parseLabId(name)),
    );
  for (const make of COMMANDS) {
    command.addCommand(make(context));
  }
  return command.addHelpText(
    'after',
    [
      '',
      'Examples:',
      '  sudo pointsman lab demo                        # build it, run programs in it, show what became of them',
      '  sudo pointsman lab exec -- curl www.example.org  # any program, on the lab’s device',
      '  sudo pointsman lab link wifi down              # what happens when wifi goes',
      '  sudo pointsman lab down                        # remove all of it',
    ].join('\n'),
  );
}
