import { Command } from 'commander';
import { isNotRunning } from '../client.ts';
import { addExamples, type CliContext, clientOf, globalOptions, terminalOf } from '../context.ts';
import { confirmOption } from '../options.ts';
import { withProgress } from '../progress.ts';
import { untilGone } from '../until-gone.ts';

interface UpOptions {
  readonly confirm?: number;
  readonly keep?: true;
  readonly replace?: true;
}

export function upCommand(context: CliContext): Command {
  const command = new Command('up')
    .description('run the daemon in the foreground: enforce the policies until Ctrl-C, SIGTERM or "pointsman down"')
    .addOption(confirmOption('remove everything and stop, unless "pointsman confirm" comes within this time'))
    .option('--keep', 'when it stops, policies stay in force until "pointsman down" (as under systemd)')
    .option('--replace', 'take over from the daemon that runs, without a moment in which less is in force')
    .action(async ({ confirm: confirmMs, keep, replace }: UpOptions) => {
      const { root } = globalOptions(command);
      const options = {
        version: context.version,
        log: (line: string) => context.terminal.err(`${line}\n`),
        ...(root === undefined ? {} : { root }),
        ...(confirmMs === undefined ? {} : { confirmMs }),
        ...(keep === undefined ? {} : { keep }),
        ...(replace === undefined ? {} : { takeOver: () => takeOver(context, command) }),
      };
      context.exit(await context.runDaemon(options));
    });
  return addExamples(command, [
    ['sudo pointsman up', 'enforce the files in /etc/pointsman'],
    ['sudo pointsman up --confirm 30s', 'over ssh: if you lock yourself out, it opens again'],
    ['sudo pointsman up --replace', 'after an upgrade of pointsman, without a gap'],
  ]);
}

/** Where none runs there is nothing to take over. Throws CliError. */
async function takeOver(context: CliContext, command: Command): Promise<void> {
  const terminal = terminalOf(context, command);
  const client = clientOf(command);
  try {
    await client.post('/v1/leave');
  } catch (error) {
    if (isNotRunning(error)) return;
    throw error;
  }
  const hint = 'see "pointsman status"; policies are in force meanwhile';
  await withProgress(terminal, 'waiting for the daemon that runs to leave', untilGone(client, hint));
}
