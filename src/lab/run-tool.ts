/** Runs the few system tools the lab is made of: no shell, absolute paths, bounded time and output. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { LabError } from './lab-error.ts';

// Not PATH: root's PATH may begin with wrappers, and Debian's non-login PATH lacks sbin.
const TOOL_DIRS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

const TOOL_PACKAGES = {
  ip: 'iproute2',
  tc: 'iproute2',
  nft: 'nftables',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  mount: 'mount',
  sh: 'dash',
  modprobe: 'kmod',
} as const;

/** Needed on some machines only, and asked for there. */
const SELDOM_NEEDED: readonly string[] = ['modprobe'];

export type ToolName = keyof typeof TOOL_PACKAGES;

/** Absolute path of a tool. Throws LabError `missing-tool` that names the Debian package. */
export function findTool(name: ToolName): string {
  for (const dir of TOOL_DIRS) {
    const path = `${dir}/${name}`;
    if (isExecutable(path)) return path;
  }
  throw new LabError(
    'missing-tool',
    `the lab needs \`${name}\`; on Debian: apt-get install ${TOOL_PACKAGES[name]} (looked in ${TOOL_DIRS.join(', ')})`,
  );
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Throws LabError `missing-tool` unless everything the world is built with is installed. */
export function requireTools(): void {
  const names = Object.keys(TOOL_PACKAGES).filter((name) => !SELDOM_NEEDED.includes(name));
  for (const name of names) findTool(name as ToolName);
}

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  readonly durationMs: number;
}

export interface CollectOptions {
  readonly input?: string;
  readonly timeoutMs: number;
}

export const MAX_OUTPUT_BYTES: number = 1024 * 1024;
const TOOL_TIMEOUT_MS = 20_000;
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGTERM: 15 };

/** The shell's convention: 128 + signal number. */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0);
}

/** Runs a program to its end and keeps the first MAX_OUTPUT_BYTES of each stream. After `timeoutMs` it is killed. */
export function collect(argv: readonly string[], options: CollectOptions): Promise<Outcome> {
  const [file = '', ...args] = argv;
  const startedAtMs = performance.now();
  // Without pipes where descriptors are short.
  const child: ChildProcess = spawn(file, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
  });
  const stdout = keep(child.stdout);
  const stderr = keep(child.stderr);
  // A program that ends without reading its input is not an error of ours.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, options.timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(new LabError('command-failed', `cannot start ${file}: ${error.message}`, { cause: error }));
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const durationMs = performance.now() - startedAtMs;
      resolve({ exitCode: exitCodeOf(code, signal), stdout: stdout(), stderr: stderr(), timedOut, durationMs });
    });
  });
}

function keep(stream: ChildProcess['stdout'] | undefined): () => string {
  const chunks: Buffer[] = [];
  let kept = 0;
  stream?.on('data', (chunk: Buffer) => {
    const part = chunk.subarray(0, MAX_OUTPUT_BYTES - kept);
    kept += part.length;
    if (part.length > 0) chunks.push(part);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

/** Runs a tool that must succeed and returns its stdout. Throws LabError `command-failed` with the tool's own words. */
export async function runTool(name: ToolName, args: readonly string[], input?: string): Promise<string> {
  const argv = [findTool(name), ...args];
  const outcome = await collect(argv, { timeoutMs: TOOL_TIMEOUT_MS, ...(input === undefined ? {} : { input }) });
  if (outcome.exitCode === 0) return outcome.stdout;
  const ending = outcome.timedOut ? `gave no answer within ${TOOL_TIMEOUT_MS} ms` : `exit code ${outcome.exitCode}`;
  throw new LabError('command-failed', `${name} ${args.join(' ')}: ${ending}\n${outcome.stderr.trim()}`);
}
