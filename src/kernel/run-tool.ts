/** The system's own tools as child processes: never a shell, never the caller's PATH or language. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import os from 'node:os';
import type { Readable } from 'node:stream';
import { requireDescriptors } from './descriptor-room.ts';
import { KernelError } from './kernel-error.ts';
import { MemoryFile } from './memory-file.ts';

const TOOL_DIRS = ['/usr/sbin', '/sbin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/local/bin'];
/** A listing of a table with 100,000 elements has about 20 MB. */
const OUTPUT_LIMIT_BYTES = 256 * 1024 * 1024;
/** nft takes seconds for the largest rulesets; beyond this it hangs. */
const TOOL_TIMEOUT_MS = 120_000;

/** What uv_spawn() opens: two pairs of sockets for what the tool writes, and a pipe that tells whether it runs. */
const SPAWN_DESCRIPTORS = 6;

/** A program and the Debian package to name where it is missing. */
export interface Tool {
  readonly name: string;
  readonly debianPackage: string;
}

export interface ToolResult {
  /** Exit status. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Absolute path of a tool. Throws KernelError (ENOENT) that says which package to install. */
export function findTool(tool: Tool): string {
  const path = searchTool(tool);
  if (path !== undefined) return path;
  const detail = `not found in ${TOOL_DIRS.join(', ')}; install the package ${tool.debianPackage}`;
  throw new KernelError(`find ${tool.name}`, os.constants.errno.ENOENT, 'ENOENT', tool.name, detail);
}

export function hasTool(tool: Tool): boolean {
  return searchTool(tool) !== undefined;
}

function searchTool(tool: Tool): string | undefined {
  return TOOL_DIRS.map((dir) => `${dir}/${tool.name}`).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a tool to its end; a status other than 0 is a result. The input is there as a whole before the tool starts: killed
 * while it fills a pipe, we would leave the tool a shortened text that may be a valid one. Throws KernelError where the tool
 * cannot be run or hangs.
 */
export async function runTool(path: string, args: readonly string[], input = ''): Promise<ToolResult> {
  const run = { operation: `run ${path}`, object: args.join(' ') };
  using file = input === '' ? undefined : new MemoryFile('pointsman-input', input);
  return await toItsEnd(start(path, args, file?.fd ?? 'ignore', run), run);
}

interface Run {
  readonly operation: string;
  readonly object: string;
}

/** Where descriptors are short there may be a child without pipes, and where memory is, an exception. Throws KernelError. */
function start(path: string, args: readonly string[], stdin: number | 'ignore', run: Run): ChildProcess {
  requireDescriptors(SPAWN_DESCRIPTORS, run.operation);
  try {
    return spawn(path, args, {
      env: { LC_ALL: 'C', PATH: TOOL_DIRS.join(':') },
      stdio: [stdin, 'pipe', 'pipe'],
      timeout: TOOL_TIMEOUT_MS,
    });
  } catch (error) {
    throw notRun(error as NodeJS.ErrnoException, run);
  }
}

function toItsEnd(child: ChildProcess, run: Run): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(notRun(error, run)));
    const stdout = collect(child.stdout, () => child.kill('SIGKILL'));
    const stderr = collect(child.stderr, () => child.kill('SIGKILL'));
    child.on('close', (status, signal) => {
      if (status !== null) resolve({ status, stdout: stdout(), stderr: stderr() });
      else {
        const detail = `ended by ${signal}: ${stderr().trim() || 'no message'}`;
        reject(new KernelError(run.operation, 0, '', run.object, detail));
      }
    });
  });
}

function notRun(error: NodeJS.ErrnoException, { operation, object }: Run): KernelError {
  const { errno = 0, code = '', message } = error;
  return new KernelError(operation, Math.abs(errno), code, object, message, { cause: error });
}

function collect(stream: Readable | null | undefined, tooMuch: () => void): () => string {
  const chunks: Buffer[] = [];
  let length = 0;
  stream?.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= OUTPUT_LIMIT_BYTES) chunks.push(chunk);
    else tooMuch();
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
