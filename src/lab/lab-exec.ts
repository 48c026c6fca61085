/** `pointsman lab exec`: any program, unmodified, as if it ran on the lab's device. */
import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { makeLabCgroup, removeCgroup } from './cgroup.ts';
import { existingNamespaces } from './lab-down.ts';
import { LabError } from './lab-error.ts';
import { requireLabId, requireRoot } from './lab-preconditions.ts';
import { readMarker } from './lab-state.ts';
import { labWords } from './lab-words.ts';
import { inDevice } from './namespace-command.ts';
import { collect, exitCodeOf, isExecutable, type Outcome } from './run-tool.ts';

export interface LabProgram {
  readonly id: string;
  readonly stateDir: string;
  /** Program and arguments; a program without a slash is looked up in PATH. */
  readonly command: readonly string[];
  /** Runs in the cgroup `labCgroupPath(id, cgroup)`, which is removed afterwards unless something still runs there. */
  readonly cgroup?: string;
}

/**
 * Runs a program on the caller's terminal and returns its exit code; 128 + n after signal n.
 * Throws LabError `not-up`, `command-not-found`, `no-cgroup2`.
 */
export async function labExec(program: LabProgram): Promise<number> {
  return withEntry(program, (argv) => onTerminal(argv));
}

/** The same, with the program's output collected. It is killed after `timeoutMs`. */
export async function labCollect(
  program: LabProgram & { readonly timeoutMs: number; readonly input?: string },
): Promise<Outcome> {
  const { timeoutMs, input } = program;
  return withEntry(program, (argv) => collect(argv, { timeoutMs, ...(input === undefined ? {} : { input }) }));
}

async function withEntry<T>(program: LabProgram, run: (argv: readonly string[]) => Promise<T>): Promise<T> {
  requireRoot();
  requireLabId(program.id);
  await requireUp(program);
  requireProgram(program.command[0]);
  const { id, stateDir, command, cgroup } = program;
  if (cgroup === undefined) return run(inDevice(id, stateDir, command));
  const cgroupDir = makeLabCgroup(id, cgroup);
  try {
    return await run(inDevice(id, stateDir, command, { cgroupDir }));
  } finally {
    // One that still holds a background process stays until the lab goes.
    removeCgroup(cgroupDir);
  }
}

async function requireUp({ id, stateDir }: LabProgram): Promise<void> {
  const marker = await readMarker(stateDir);
  if (marker?.stage === 'up' && marker.id === id && existingNamespaces(id).length > 0) return;
  throw new LabError('not-up', `the lab "${id}" is not up; build it first: sudo pointsman ${labWords(id, 'up')}`);
}

function requireProgram(file: string | undefined): void {
  if (file === undefined || file === '')
    throw new LabError('no-command', 'which program? pointsman lab exec -- PROGRAM');
  const dirs = (process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin').split(delimiter);
  const found = file.includes('/') ? isExecutable(file) : dirs.some((dir) => isExecutable(join(dir, file)));
  if (!found) throw new LabError('command-not-found', `no such program: ${file}`);
}

function onTerminal(argv: readonly string[]): Promise<number> {
  const [file = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'inherit' });
    // Ctrl-C reaches the program through the terminal's process group: it alone decides what that means.
    const stay = (): void => undefined;
    const pass = (): void => {
      child.kill('SIGTERM');
    };
    process.on('SIGINT', stay).on('SIGQUIT', stay).on('SIGTERM', pass);
    const leave = (): void => {
      process.off('SIGINT', stay).off('SIGQUIT', stay).off('SIGTERM', pass);
    };
    child.once('error', (error) => {
      leave();
      reject(new LabError('command-failed', `cannot start ${file}: ${error.message}`, { cause: error }));
    });
    child.once('exit', (code, signal) => {
      leave();
      resolve(exitCodeOf(code, signal));
    });
  });
}
