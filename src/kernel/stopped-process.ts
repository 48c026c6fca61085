import { readFileSync } from 'node:fs';

/** Whether a signal or a debugger has stopped a process: field 3 of /proc/PID/stat, proc(5). False where it has ended, or /proc hides it. */
export function isStopped(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name before it may have any character.
    return /^[tT]/.test(text.slice(text.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}
