/** Remembers processes the lab started, so that exactly these are ended later and never a re-used pid. */
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** `startTimeTicks` is field 22 of /proc/PID/stat, proc(5); with the boot id it names one process for good. */
export interface ProcessRecord {
  readonly pid: number;
  readonly startTimeTicks: string;
  readonly bootId: string;
}

const TERM_TIMEOUT_MS = 8_000;
const KILL_TIMEOUT_MS = 3_000;
const POLL_MS = 25;

export function recordProcess(pid: number): ProcessRecord | undefined {
  const startTimeTicks = startTime(pid);
  return startTimeTicks === undefined ? undefined : { pid, startTimeTicks, bootId: bootId() };
}

export function isAlive(record: ProcessRecord): boolean {
  return record.bootId === bootId() && startTime(record.pid) === record.startTimeTicks;
}

export async function writeRecord(path: string, record: ProcessRecord): Promise<void> {
  await writeFile(path, `${JSON.stringify(record)}\n`);
}

/** Undefined where the file is missing or not a record (a crash while it was written). */
export async function readRecord(path: string): Promise<ProcessRecord | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is ProcessRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { pid, startTimeTicks, bootId } = value as Partial<Record<keyof ProcessRecord, unknown>>;
  return Number.isInteger(pid) && Number(pid) > 1 && typeof startTimeTicks === 'string' && typeof bootId === 'string';
}

/** SIGTERM, and SIGKILL where that does not help in time. True once the process is gone. */
export async function endProcess(record: ProcessRecord): Promise<boolean> {
  signal(record, 'SIGTERM');
  if (await gone(record, TERM_TIMEOUT_MS)) return true;
  signal(record, 'SIGKILL');
  return gone(record, KILL_TIMEOUT_MS);
}

function signal(record: ProcessRecord, name: NodeJS.Signals): void {
  if (!isAlive(record)) return;
  try {
    process.kill(record.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function gone(record: ProcessRecord, timeoutMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + timeoutMs;
  while (isAlive(record)) {
    if (performance.now() > deadlineMs) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** Undefined where there is no such process, or only its zombie. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name in parentheses may itself hold spaces and parentheses: count from the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
