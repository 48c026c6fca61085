import type { Command } from 'commander';
import { printable, printableJson } from '../net/printable.ts';
import { pathsFor } from '../store/paths.ts';
import { type ClientOptions, type DaemonClient, openClient } from './client.ts';
import type { ExitCode } from './exit-code.ts';
import { rootOfLab } from './lab-place.ts';
import type { OfflineOptions } from './offline.ts';
import { type Terminal, withoutColour } from './terminal.ts';

/** Runs the daemon in this process until it is told to stop; resolves with the exit code. */
export type RunDaemon = (options: {
  readonly root?: string;
  readonly confirmMs?: number;
  readonly keep?: boolean;
  /** Asks a daemon that runs to leave, with policy kept in force. */
  readonly takeOver?: () => Promise<void>;
  /** Takes a line for the journal. */
  readonly log: (line: string) => void;
  readonly version: string;
}) => Promise<number>;

/** What the commands need of the outside; made once, by the entry. */
export interface CliContext {
  readonly version: string;
  readonly terminal: Terminal;
  readonly runDaemon: RunDaemon;
  /** Program and arguments that start this program again, as absolute paths. */
  readonly selfCommand: readonly string[];
  /** How the person calls the program, for lines to copy: `sudo ./pointsman`. */
  readonly commandName: string;
  /** Aborts when the person presses Ctrl-C; asking for it is what takes the signal away from the default. */
  readonly interrupted: () => AbortSignal;
  /** Called at most once by a command that ends otherwise than well. `lab exec` passes on any code. */
  readonly exit: (code: ExitCode | number) => void;
}

export interface GlobalOptions {
  readonly root?: string;
  readonly color: boolean;
}

export function globalOptions(command: Command): GlobalOptions {
  const { lab, root, color } = command.optsWithGlobals<
    Omit<GlobalOptions, 'root'> & { readonly root?: string; readonly lab?: string }
  >();
  const chosen = lab === undefined ? root : rootOfLab(lab);
  return { color, ...(chosen !== undefined && { root: chosen }) };
}

export function terminalOf(context: CliContext, command: Command): Terminal {
  return globalOptions(command).color ? context.terminal : withoutColour(context.terminal);
}

export function socketPathOf(command: Command): string {
  return pathsFor(globalOptions(command).root).socketPath;
}

export function clientOf(command: Command, options: ClientOptions = {}): DaemonClient {
  return openClient(socketPathOf(command), options);
}

/** What is to be typed stands in these, whoever wrote it. */
const HINT_KEYS: readonly string[] = ['hint', 'mend'];

export function writeJson(terminal: Terminal, value: unknown): void {
  const typed = (key: string, one: unknown): unknown =>
    HINT_KEYS.includes(key) && typeof one === 'string' ? terminal.typed(one) : one;
  terminal.data(`${printableJson(JSON.stringify(value, typed, 2))}\n`);
}

/** Examples below a command's help: what to type, and what it is for. */
export function addExamples(command: Command, examples: readonly (readonly [line: string, what: string])[]): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, what]) => `  ${line.padEnd(width)}  # ${what}`);
  return command.addHelpText('after', ['', 'Examples:', ...lines].join('\n'));
}

/** For the commands that can do without a daemon. */
export function offlineOptions(command: Command, terminal: Terminal): OfflineOptions {
  return { root: globalOptions(command).root, onNote: (note) => terminal.err(`note: ${printable(note)}\n`) };
}
