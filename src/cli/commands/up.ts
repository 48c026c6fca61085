import { Command } from 'commander';
import { addExamples, type CliContext, globalOptions } from '../context.ts';
import { confirmOption } from '../options.ts';

export function upCommand(context: CliContext): Command {
  const command = new Command('up')
    .description('run the daemon in the foreground: enforce the policies until Ctrl-C, SIGTERM or "pointsman down"')
    .addOption(confirmOption('remove everything and stop, unless "pointsman confirm" comes within this time'))
    .action(async ({ confirm: confirmMs }: { readonly confirm?: number }) => {
      const { root } = globalOptions(command);
      const options = {
        version: context.version,
        ...(root === undefined ? {} : { root }),
        ...(confirmMs === undefined ? {} : { confirmMs }),
      };
      context.exit(await context.runDaemon(options));
    });
  return addExamples(command, [
    ['sudo pointsman up', 'enforce the files in /etc/pointsman'],
    ['sudo pointsman up --confirm 30s', 'over ssh: if you lock yourself out, it opens again'],
  ]);
}
