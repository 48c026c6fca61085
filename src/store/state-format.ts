/** Which rules the files under the state directory were kept by: a daemon that keeps them by others says what changes. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeAtomically } from './atomic-write.ts';
import type { Paths } from './paths.ts';

/** 2: an empty file is a mistake; by 1 it was a mask. */
const FORMAT = 2;
const FORMAT_FILE = 'format';

/** True once, where a daemon ran here before that took empty files for masks. */
export function tookEmptyFilesForMasks({ lastGoodDir }: Paths): boolean {
  const path = join(lastGoodDir, FORMAT_FILE);
  const isOlder = existsSync(lastGoodDir) && !isKnown(path);
  try {
    writeAtomically(path, new TextEncoder().encode(`${FORMAT}\n`), { until: 'cache' });
  } catch {
    // A read-only disk: it is said again at the next start.
  }
  return isOlder;
}

function isKnown(path: string): boolean {
  try {
    return Number(readFileSync(path, 'latin1')) >= FORMAT;
  } catch {
    return false;
  }
}
