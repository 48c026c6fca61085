/** Child processes: run to their end, or in the background until stopped. Never a shell. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const TOOL_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
const PROGRAM_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
/** Of what a program in the background says on stderr, the end is kept. */
const KEPT_STDERR_BYTES = 8192;
/** Lines of stdout that nobody has asked for yet; later ones are lost. */
const MAX_KEPT_LINES = 1000;

export interface ProgramResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** Rejects where the program cannot be started; a status other than 0 is a result. */
export function runProgram(command: readonly string[], options: RunOptions = {}): Promise<ProgramResult> {
  const { input = '', timeoutMs = PROGRAM_TIMEOUT_MS } = options;
  const child = launch(command, timeoutMs);
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin?.on('error', () => undefined).end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) =>
      resolve({ status: status ?? 255, stdout, stderr: stderr || (signal ?? '') }),
    );
  });
}

/** As `runProgram`, and its stdout as JSON. Rejects with the program's own words where it fails. */
export async function runJson<T>(command: readonly string[], timeoutMs?: number): Promise<T> {
  const { status, stdout, stderr } = await runProgram(command, timeoutMs === undefined ? {} : { timeoutMs });
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr.trim() || `status ${status}`}`);
  return JSON.parse(stdout) as T;
}

export interface BackgroundProgram {
  readonly pid: number;
  /** The next line of stdout, or one that came already, that the pattern fits. Rejects where the program ends first. */
  line(pattern: RegExp): Promise<string>;
  /** Resolves however it ends. */
  readonly ended: Promise<void>;
  /** The end of what it said on stderr. */
  complaint(): string;
  /** SIGTERM, and SIGKILL for one that does not listen. */
  stop(): Promise<void>;
}

export function startProgram(command: readonly string[]): BackgroundProgram {
  const child = launch(command);
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-KEPT_STDERR_BYTES);
  });
  const lines = lineReader(child);
  const hasEnded = (): boolean => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid ?? 0,
    line: async (pattern) => {
      const line = await Promise.race([lines(pattern), ended.then(() => undefined)]);
      if (line === undefined) throw new Error(`${command.join(' ')} ended: ${stderr.trim() || 'without a word'}`);
      return line;
    },
    ended,
    complaint: () => stderr.trim(),
    stop: async () => {
      if (!hasEnded()) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

function launch([file, ...args]: readonly string[], timeoutMs?: number): ChildProcess {
  if (file === undefined) throw new RangeError('an empty command');
  return spawn(file, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: TOOL_PATH, LC_ALL: 'C' },
    ...(timeoutMs !== undefined && { timeout: timeoutMs, killSignal: 'SIGKILL' as const }),
  });
}

function lineReader(child: ChildProcess): (pattern: RegExp) => Promise<string> {
  const seen: string[] = [];
  const waiting: { readonly pattern: RegExp; readonly resolve: (line: string) => void }[] = [];
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = waiting.findIndex(({ pattern }) => pattern.test(line));
      if (found < 0 && seen.length < MAX_KEPT_LINES) seen.push(line);
      else if (found >= 0) waiting.splice(found, 1)[0]?.resolve(line);
    });
  }
  return (pattern) => {
    const index = seen.findIndex((line) => pattern.test(line));
    const [line] = index < 0 ? [] : seen.splice(index, 1);
    return line !== undefined ? Promise.resolve(line) : new Promise((resolve) => waiting.push({ pattern, resolve }));
  };
}
