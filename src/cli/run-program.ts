/** One run of the command line: arguments in, exit code out. Mistakes become one line and a hint, never a stack trace. */
import { type Command, CommanderError } from 'commander';
import { KernelError } from '../kernel/kernel-error.ts';
import { LabError, type LabErrorCode } from '../lab/lab-error.ts';
import { DEFAULT_LAB } from '../lab/lab-words.ts';
import { printable } from '../net/printable.ts';
import { CliError } from './cli-error.ts';
import type { CliContext } from './context.ts';
import { EXIT, type ExitCode } from './exit-code.ts';
import { type LabOptions, namedLab, rootOfLab } from './lab-place.ts';
import { painter } from './paint.ts';
import { buildProgram, separateProgram } from './program.ts';
import { type Place, typedCommands } from './typed-command.ts';

export type RunOptions = Omit<CliContext, 'exit'> & {
  readonly env: Readonly<Record<string, string | undefined>>;
};

/** `words` are the arguments without the program. Never throws. */
export async function runProgram(words: readonly string[], { env, ...options }: RunOptions): Promise<number> {
  let exitCode: number = EXIT.ok;
  const typed = (text: string): string => typedCommands(text, placeOf(program, options.commandName));
  const context: CliContext = {
    ...options,
    terminal: {
      ...options.terminal,
      out: (text) => options.terminal.out(typed(text)),
      err: (text) => options.terminal.err(typed(text)),
      typed,
    },
    exit: (code) => {
      exitCode = code;
    },
  };
  const program: Command = buildProgram(context);
  try {
    await program.parseAsync([...separateProgram(words)], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    return report(error, context, env);
  }
}

/** What the person has said of where; while that is being read, as much as is known. */
function placeOf(program: Command, commandName: string): Place {
  const options = program.opts<LabOptions>();
  const ofLab = program.commands.find((command) => command.name() === 'lab');
  const id = namedLab(options) ?? ofLab?.opts<{ readonly id?: string }>().id;
  const isLab = program.args[0] === 'lab' && id !== undefined;
  return {
    program: commandName.replace(/^sudo /, ''),
    commands: program.commands.map((command) => command.name()),
    root: isLab ? rootOfLab(id) : options.lab === undefined ? options.root : rootOfLab(options.lab),
    ...(isLab && id !== DEFAULT_LAB && { lab: id }),
  };
}

function report(error: unknown, { terminal }: CliContext, env: RunOptions['env']): number {
  const paint = painter(terminal.errColour);
  const known = describe(error);
  const lines = known?.message.split('\n').map(printable) ?? [unexpected(error)];
  const hint = known === undefined ? UNEXPECTED_HINT : known.hint;
  terminal.err(`${paint('error:', 'alarm')} ${lines.join('\n')}\n`);
  if (hint !== undefined) terminal.err(`       ${paint('hint:', 'cyan')} ${printable(hint)}\n`);
  if ((env.POINTSMAN_DEBUG ?? '') !== '') terminal.err(`${stackOf(error)}\n`);
  return known?.exitCode ?? EXIT.failed;
}

interface Described {
  readonly exitCode: ExitCode | 127;
  readonly message: string;
  readonly hint?: string | undefined;
}

function describe(error: unknown): Described | undefined {
  if (error instanceof CliError) return error;
  if (error instanceof LabError) return { exitCode: LAB_EXIT_CODES[error.code], message: error.message };
  if (error instanceof KernelError) return describeKernelError(error);
  if (error instanceof AggregateError) {
    const parts = error.errors.map(describe);
    const worst = parts.find((part) => part !== undefined);
    if (worst === undefined || parts.includes(undefined)) return undefined;
    const message = [error.message, ...parts.map((part) => part?.message ?? '')].filter(Boolean).join('\n');
    return { ...worst, message };
  }
  return undefined;
}

function describeKernelError(error: KernelError): Described {
  const { message } = error;
  if (error.isDenied) return { exitCode: EXIT.notPermitted, message, hint: 'run it as root: sudo' };
  return { exitCode: error.code === 'ENOENT' || error.code === 'EOPNOTSUPP' ? EXIT.missing : EXIT.failed, message };
}

const LAB_EXIT_CODES: Readonly<Record<LabErrorCode, ExitCode | 127>> = {
  'not-root': EXIT.notPermitted,
  'bad-id': EXIT.usage,
  'bad-state-dir': EXIT.failed,
  'bad-policies': EXIT.failed,
  'missing-tool': EXIT.missing,
  'missing-kernel-feature': EXIT.missing,
  'command-failed': EXIT.failed,
  'no-command': EXIT.usage,
  // As a shell ends that finds no such program.
  'command-not-found': 127,
  'already-up': EXIT.alreadyRunning,
  busy: EXIT.alreadyRunning,
  'not-up': EXIT.notRunning,
  'inside-the-lab': EXIT.usage,
  'servers-failed': EXIT.failed,
  'daemon-failed': EXIT.failed,
  'no-cgroup2': EXIT.missing,
  'cannot-remove': EXIT.failed,
};

export const UNEXPECTED_HINT =
  'this is a fault of pointsman, not yours: run it again with POINTSMAN_DEBUG=1 and report what it prints (CONTRIBUTING.md)';

function unexpected(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return printable(text.split('\n')[0] ?? '');
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
