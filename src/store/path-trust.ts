/**
 * Whether a file may be believed: nobody with fewer rights than the daemon can change it, a directory above it, or what a link
 * on the way leads to. Every step is looked at before the next one is taken, so that nobody who may not change a step can put
 * something else behind it: what lies in a directory that only trusted people change stays what it was when it was looked at.
 */
import { type BigIntStats, lstatSync, readlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { aclWriters } from '../kernel/posix-acl.ts';
import { MAX_LINKS } from '../kernel/symbolic-links.ts';

/** Who may change what the daemon believes. */
export interface Trust {
  readonly uids: ReadonlySet<number>;
  readonly gids: ReadonlySet<number>;
}

/** Who may look at a file or pass a directory, as the mode says. */
export interface Permissions {
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

export type PathLook =
  | {
      readonly kind: 'there';
      /** Without links. */
      readonly path: string;
      readonly stats: BigIntStats;
      /** Of the directories on the way, then of the file. */
      readonly permissions: readonly Permissions[];
    }
  | { readonly kind: 'absent' }
  | { readonly kind: 'dangling' }
  | { readonly kind: 'not trusted'; readonly at: string; readonly by: string };

interface Directory {
  readonly path: string;
  readonly permissions: readonly Permissions[];
  /** Others may put something into it, and change nothing of what is there (the sticky bit). */
  readonly isShared: boolean;
}

type Entered = Directory | Extract<PathLook, { readonly kind: 'not trusted' }>;

const S_ISVTX = 0o1000n;
const S_IWGRP = 0o020n;
const S_IWOTH = 0o002n;

/** Looks at paths at one moment: directories are looked at once. */
export class TrustedPaths {
  readonly #trust: Trust;
  readonly #directories = new Map<string, Entered>();

  constructor(trust: Trust) {
    this.#trust = trust;
  }

  /** Throws the file system's error, as EACCES. */
  look(path: string): PathLook {
    let ahead = stepsOf(resolve(path));
    let directory = this.#enter('/');
    let links = 0;
    for (;;) {
      if ('kind' in directory) return directory;
      const [step, ...rest] = ahead;
      if (step === undefined) return this.#asDirectory(directory);
      ahead = rest;
      if (step === '..') {
        directory = this.#enter(join(directory.path, '..'));
        continue;
      }
      const at = join(directory.path, step);
      const stats = lstatSync(at, { bigint: true, throwIfNoEntry: false });
      if (stats === undefined) return links > 0 ? { kind: 'dangling' } : { kind: 'absent' };
      const placer = directory.isShared ? this.#placerOf(stats) : undefined;
      if (placer !== undefined) return untrusted(at, placer);
      if (stats.isSymbolicLink()) {
        links += 1;
        if (links > MAX_LINKS) return { kind: 'dangling' };
        const target = readlinkSync(at);
        if (target.startsWith('/')) directory = this.#enter('/');
        ahead = [...stepsOf(target), ...ahead];
      } else if (stats.isDirectory()) {
        directory = this.#enter(at, directory, stats);
      } else if (ahead.length > 0) {
        return links > 0 ? { kind: 'dangling' } : { kind: 'absent' };
      } else {
        const by = stats.isFile() ? this.writerOf(at, stats) : undefined;
        if (by !== undefined) return untrusted(at, by);
        return { kind: 'there', path: at, stats, permissions: [...directory.permissions, permissionsOf(at, stats)] };
      }
    }
  }

  /** Whether others may put something into a directory that was looked at. */
  isShared(path: string): boolean {
    const directory = this.#directories.get(path);
    return directory !== undefined && (!('isShared' in directory) || directory.isShared);
  }

  /** Who may change a file or what is in a directory, and is not trusted; in words. */
  writerOf(path: string, { mode, uid, gid }: BigIntStats): string | undefined {
    if (!this.#trust.uids.has(Number(uid))) return `user ${uid}`;
    if ((mode & S_IWOTH) !== 0n) return 'everybody';
    // With a list, these bits are what it gives at most.
    return (mode & S_IWGRP) === 0n ? undefined : this.#groupWriterOf(path, Number(gid));
  }

  #groupWriterOf(path: string, gid: number): string | undefined {
    const writers = aclWriters(path) ?? { uids: [], gids: [], ownGroup: true };
    const user = writers.uids.find((uid) => !this.#trust.uids.has(uid));
    if (user !== undefined) return `user ${user}`;
    const gids = writers.ownGroup ? [gid, ...writers.gids] : writers.gids;
    const group = gids.find((candidate) => !this.#trust.gids.has(candidate));
    return group === undefined ? undefined : `group ${group}`;
  }

  /** Who may have put something into a shared directory: a second name may be that of a file elsewhere. */
  #placerOf(stats: BigIntStats): string | undefined {
    if (!this.#trust.uids.has(Number(stats.uid))) return `user ${stats.uid}`;
    return stats.isDirectory() || stats.nlink === 1n ? undefined : 'whoever gave it a second name';
  }

  #enter(path: string, above?: Directory, seen?: BigIntStats): Entered {
    const known = this.#directories.get(path);
    if (known !== undefined) return known;
    const stats = seen ?? lstatSync(path, { bigint: true });
    const entered = this.#lookAtDirectory(path, above?.permissions ?? [], stats);
    this.#directories.set(path, entered);
    return entered;
  }

  #lookAtDirectory(path: string, above: readonly Permissions[], stats: BigIntStats): Entered {
    const permissions = [...above, permissionsOf(path, stats)];
    const by = this.writerOf(path, stats);
    if (by === undefined) return { path, permissions, isShared: false };
    const isOnlyShared = (stats.mode & S_ISVTX) !== 0n && this.#trust.uids.has(Number(stats.uid));
    return isOnlyShared ? { path, permissions, isShared: true } : untrusted(path, by);
  }

  #asDirectory({ path, permissions }: Directory): PathLook {
    return { kind: 'there', path, stats: lstatSync(path, { bigint: true }), permissions };
  }
}

function stepsOf(path: string): string[] {
  return path.split('/').filter((step) => step !== '' && step !== '.');
}

function permissionsOf(path: string, { uid, gid, mode }: BigIntStats): Permissions {
  return { path, uid: Number(uid), gid: Number(gid), mode: Number(mode) };
}

function untrusted(at: string, by: string): Extract<PathLook, { readonly kind: 'not trusted' }> {
  return { kind: 'not trusted', at, by };
}
