import { Command } from 'commander';
import { labCalled } from '../../lab/lab-words.ts';
import { addExamples, type CliContext, terminalOf } from '../context.ts';
import { labPlaceOf } from '../lab-place.ts';
import { withProgress } from '../progress.ts';

export function labDownCommand(context: CliContext): Command {
  const command = new Command('down')
    .description('remove the lab: its programs, namespaces and files; does nothing where there is none')
    .action(async () => {
      const { labDown } = await import('../../lab/lab-down.ts');
      const terminal = terminalOf(context, command);
      const place = labPlaceOf(command);
      const wasThere = await withProgress(terminal, 'ending what runs in the lab', labDown(place));
      terminal.out(`${wasThere ? `${labCalled(place.id)} is gone` : `There is no lab "${place.id}"`}.\n`);
    });
  return addExamples(command, [['sudo pointsman lab down', 'nothing of the lab is left']]);
}
