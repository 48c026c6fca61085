/**
 * The whole command line as one tree. Nothing happens before it is given arguments: what reads files, builds the lab or talks
 * to the kernel is imported by the action that needs it, so that `status` starts at once and the daemon carries none of it.
 */
import { Command, Option } from 'commander';
import { appsCommand } from './commands/apps.ts';
import { checkCommand } from './commands/check.ts';
import { completionCommand } from './commands/completion.ts';
import { confirmCommand } from './commands/confirm.ts';
import { doctorCommand } from './commands/doctor.ts';
import { downCommand } from './commands/down.ts';
import { editCommand } from './commands/edit.ts';
import { explainCommand } from './commands/explain.ts';
import { helpCommand } from './commands/help.ts';
import { labCommand } from './commands/lab.ts';
import { metricsCommand } from './commands/metrics.ts';
import { panicCommand } from './commands/panic.ts';
import { planCommand } from './commands/plan.ts';
import { reloadCommand } from './commands/reload.ts';
import { routeCommand } from './commands/route.ts';
import { statusCommand } from './commands/status.ts';
import { tryCommand } from './commands/try.ts';
import { upCommand } from './commands/up.ts';
import { uplinksCommand } from './commands/uplinks.ts';
import { watchCommand } from './commands/watch.ts';
import { whoCommand } from './commands/who.ts';
import { addExamples, type CliContext } from './context.ts';
import { enterLab, existingLabRoot, parseLabId } from './lab-place.ts';
import { parseRoot } from './root-option.ts';

export function buildProgram(context: CliContext): Command {
  const program = new Command('pointsman')
    .description('Per-application connection policy for Linux: files say what each program may connect to.')
    .version(context.version, '--version', 'print the version')
    .option('--root <dir>', 'directory that etc, var and run are below (default: /)', (text) => parseRoot(text))
    .addOption(
      new Option('--lab <name>', 'the files and the daemon of this lab')
        .conflicts('root')
        .argParser((name) => parseLabId(name)),
    )
    .option('--no-color', 'no colours; NO_COLOR in the environment does the same')
    .helpCommand(false);
  program.hook('preAction', (_program, command) => {
    const { lab } = program.opts<{ readonly lab?: string }>();
    // What builds a lab or removes it does so from outside.
    if (lab === undefined || command.parent?.name() === 'lab') return;
    const root = existingLabRoot(lab);
    if (process.geteuid?.() === 0) enterLab(root);
    else
      context.terminal.err(
        "note: only root may look into the lab's network: what its daemon does not answer is of this machine\n",
      );
  });
  for (const make of COMMANDS) program.addCommand(make(context));
  addExamples(program, [
    ['sudo pointsman lab demo', 'see it work, in a small world of its own'],
    ['pointsman check /etc/pointsman', 'find the mistakes in policy files'],
    ['sudo pointsman up --confirm 30s', 'enforce them, taken back unless confirmed'],
    ['pointsman explain --exe /usr/bin/curl --to example.org:443', 'what would happen, and why'],
  ]);
  program.addHelpText(
    'after',
    '\nHelp for a command: pointsman help COMMAND. How commands end: pointsman help exit-codes.',
  );
  for (const command of allCommands(program)) {
    command
      .exitOverride()
      .configureHelp({ showGlobalOptions: command !== program })
      .helpOption('-h, --help', 'help with examples')
      .configureOutput({
        writeOut: context.terminal.out,
        writeErr: context.terminal.err,
        outputError: (text, write) => write(plainUsageError(text)),
      })
      .showHelpAfterError(`(${pathOf(command)} --help shows how)`);
  }
  return program;
}

const COMMANDS = [
  upCommand,
  downCommand,
  statusCommand,
  reloadCommand,
  tryCommand,
  editCommand,
  confirmCommand,
  watchCommand,
  appsCommand,
  whoCommand,
  uplinksCommand,
  routeCommand,
  metricsCommand,
  checkCommand,
  doctorCommand,
  planCommand,
  explainCommand,
  panicCommand,
  labCommand,
  completionCommand,
  helpCommand,
] as const;

/** What commander says of arguments, as a person would. */
function plainUsageError(text: string): string {
  return text
    .replace(
      /^error: command-argument value '(.*)' is invalid for argument '.*'\. Allowed choices are (.*)\.$/m,
      "error: '$1' is none of: $2",
    )
    .replace(/^error: command-argument value '(.*)' is invalid for argument '(.*)'\. /m, "error: '$1' cannot be <$2>: ")
    .replace(/^error: missing required argument '(.*)'$/m, 'error: <$1> is missing');
}

/** The command and all below it. */
export function allCommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

export function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** What says which lab is meant. */
const PLACE_OPTIONS: readonly string[] = ['--id', '--lab', '--root'];

/**
 * Programs have options of their own: everything after the first word behind `lab exec` is theirs, with or without `--`.
 */
export function separateProgram(words: readonly string[]): readonly string[] {
  const lab = words.indexOf('lab');
  const exec = words.indexOf('exec', lab + 1);
  const first = words[exec + 1];
  if (lab < 0 || exec < 0 || first === undefined || first.startsWith('-')) return words;
  const between = words.slice(lab + 1, exec);
  // Otherwise it is another command of the lab's, and `exec` a value.
  const isOptions = between.every((word, at) => word.startsWith('--') || PLACE_OPTIONS.includes(between[at - 1] ?? ''));
  return isOptions ? [...words.slice(0, exec + 1), '--', ...words.slice(exec + 1)] : words;
}
