/** Directories for one run, told by its pid, so that a later run can remove what one that was killed has left. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SCRATCH_NAME = /^pmbench-(\d+)-/;

export function makeScratchDir(purpose: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `pmbench-${process.pid}-${purpose}-`));
}

export function removeScratchDir(dir: string): Promise<void> {
  return rm(dir, { recursive: true, force: true });
}

/** All directories of the runs that are over. */
export async function removeScratch(isOver: (pid: number) => boolean): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const [, pid] = SCRATCH_NAME.exec(name) ?? [];
    if (pid !== undefined && isOver(Number(pid))) await removeScratchDir(join(tmpdir(), name));
  }
}
