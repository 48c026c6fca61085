/** Who may read a file, by the modes of it and of the directories above it, as the kernel would say (path_resolution(7)). */
import type { Permissions } from './path-trust.ts';

export interface Reader {
  readonly uid: number;
  readonly gids: readonly number[];
}

const READ = 0o4;
const SEARCH = 0o1;

/** Pure. `permissions`: of the directories on the way, then of the file. */
export function mayRead({ uid, gids }: Reader, permissions: readonly Permissions[]): boolean {
  if (uid === 0) return true;
  return permissions.every(({ uid: owner, gid, mode }, i) => {
    const shift = uid === owner ? 6 : gids.includes(gid) ? 3 : 0;
    return ((mode >> shift) & (i === permissions.length - 1 ? READ : SEARCH)) !== 0;
  });
}
