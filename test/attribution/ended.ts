import type { ChildProcess } from 'node:child_process';

/** How a program ended; -1 after a signal. */
export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The kernel or the machine has not got what it needs; stdout says what. */
export const EXIT_ABSENT = 77;

/** For what is no program of the device. */
export const WELL_ENDED: Ended = { exitCode: 0, stdout: '', stderr: '' };

/** Collects what it says from now on. */
export function ended(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ exitCode: code ?? -1, stdout, stderr }));
  });
}
