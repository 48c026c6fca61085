import { Command } from 'commander';
import { labFiles } from '../../lab/lab-state.ts';
import { labCalled, labWords } from '../../lab/lab-words.ts';
import { addExamples, type CliContext, terminalOf } from '../context.ts';
import { labPlaceOf } from '../lab-place.ts';

interface LabUpCommandOptions {
  readonly policies?: string;
  readonly uplinks?: string;
}

export function labUpCommand(context: CliContext): Command {
  const command = new Command('up')
    .description(
      'build the lab: a device with wifi, cellular, a VPN and a LAN, an internet, and the daemon on the device; start that again where it has ended',
    )
    .option('--policies <dir>', 'policy files to use instead of the examples (a copy is made)')
    .option('--uplinks <dir>', 'uplink files to use instead of the examples (a copy is made)')
    .action(async ({ policies, uplinks }: LabUpCommandOptions) => {
      const { labUp } = await import('../../lab/lab-up.ts');
      const terminal = terminalOf(context, command);
      const place = labPlaceOf(command);
      const { notes, isDaemonAlone } = await labUp({
        ...place,
        ...(policies === undefined ? {} : { policiesDir: policies }),
        ...(uplinks === undefined ? {} : { uplinksDir: uplinks }),
        pointsmanCommand: context.selfCommand,
        onProgress: (line) => terminal.err(`${line}\n`),
      });
      const lines = [
        ...notes.map(({ about, text }) => `Note: ${about}: ${text}.`),
        `${labCalled(place.id)} ${isDaemonAlone ? 'was up without its daemon, which runs again.' : 'is up.'} Its files, to read and to change:`,
        `  ${labFiles(place.stateDir).rootDir}/etc/pointsman`,
        'Try next:',
        ...['exec -- curl http://www.example.org/', 'link wifi down', 'demo', 'down'].map(
          (next) => `  ${context.commandName} ${labWords(place.id, next)}`,
        ),
        `  ${context.commandName} status --lab ${place.id}`,
      ];
      terminal.out(`${lines.join('\n')}\n`);
    });
  return addExamples(command, [
    ['sudo pointsman lab up', 'with the example policies'],
    ['sudo pointsman lab up --policies ./mine', 'with your own'],
  ]);
}
