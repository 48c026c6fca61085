/**
 * Which file a path names for another process: from its working directory, in its root and mounts. Nothing is opened: that
 * could wait for a device, for a file server, or for ourselves where the file is one that we are asked about.
 */
import { lstatSync, readlinkSync, statSync } from 'node:fs';
import { type FileStat, fileStatOf } from './file-stat.ts';
import { MAX_LINKS } from './symbolic-links.ts';

/** Longer paths are not followed: anybody can have us follow one. */
export const MAX_PATH_STEPS = 64;
/** PATH_MAX of linux/limits.h. */
const MAX_PATH_BYTES = 4096;

/** A directory as seen from here, and what was walked below it. */
interface Place {
  readonly anchor: string;
  readonly below: readonly string[];
}

/**
 * `processDir` is `/proc/PID`; `path` has one character for each byte (latin1), as names need not be text. Links are
 * followed as the process would, `/proc/self` and `/dev/fd` among them. `undefined` where there is nothing to see.
 */
export function fileAtProcessPath(processDir: string, path: string): FileStat | undefined {
  if (path === '' || path.length > MAX_PATH_BYTES) return undefined;
  let place: Place = start(processDir, path);
  let ahead = stepsOf(path);
  let links = 0;
  for (let steps = 0; ahead.length > 0; steps++) {
    if (steps >= MAX_PATH_STEPS) return undefined;
    const [step = '', ...rest] = ahead;
    ahead = rest;
    const next = enter(processDir, place, step);
    // The anchor itself is a link of the kernel's, and is meant to be followed.
    const link = next.below.length === 0 ? undefined : readLink(asPath(next));
    if (link === undefined) place = next;
    else if (isKernelLink(processDir, next)) place = { anchor: asPath(next), below: [] };
    else {
      links += 1;
      if (links > MAX_LINKS) return undefined;
      if (link.startsWith('/')) place = start(processDir, link);
      ahead = [...stepsOf(link), ...ahead];
    }
  }
  return fileAt(asPath(place));
}

function start(processDir: string, path: string): Place {
  return { anchor: path.startsWith('/') ? `${processDir}/root` : `${processDir}/cwd`, below: [] };
}

function stepsOf(path: string): string[] {
  return path.split('/').filter((step) => step !== '' && step !== '.');
}

function enter(processDir: string, place: Place, step: string): Place {
  const { anchor, below } = place;
  const isRoot = anchor === `${processDir}/root`;
  // The kernel would climb out: what is the root for that process is none for us.
  if (step === '..' && isRoot) return { anchor, below: below.slice(0, -1) };
  // "self" is whoever asks.
  if (isRoot && below.length === 1 && below[0] === 'proc' && (step === 'self' || step === 'thread-self'))
    return { anchor: processDir, below: [] };
  return { anchor, below: [...below, step] };
}

/** Those of `/proc/PID` and of its `fd` lead to the file itself, whatever their text is. */
function isKernelLink(processDir: string, { anchor, below }: Place): boolean {
  return anchor === processDir && (below.length === 1 || (below.length === 2 && below[0] === 'fd'));
}

function asPath({ anchor, below }: Place): string {
  return [anchor, ...below].join('/');
}

/** `undefined` for what is no link, or is not there. */
function readLink(path: string): string | undefined {
  const bytes = Buffer.from(path, 'latin1');
  try {
    // Asked first, as an exception costs more than all else here.
    if (lstatSync(bytes, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return undefined;
    return readlinkSync(bytes, 'latin1');
  } catch {
    return undefined;
  }
}

/** For names that are not text. */
function fileAt(path: string): FileStat | undefined {
  try {
    const stats = statSync(Buffer.from(path, 'latin1'), { bigint: true, throwIfNoEntry: false });
    return stats && fileStatOf(stats);
  } catch {
    return undefined;
  }
}
