/** Where cgroups that policies name may come and go, and whether one that did is of interest. */
import type { CgroupTree } from '../kernel/cgroup.ts';
import { scopesOfCgroup } from '../policy/cgroup-scope.ts';
import { type AppIndex, matchExactCgroup } from '../policy/match-app.ts';
import { cgroupHomes, isCgroupHome, soughtBy } from './cgroup-homes.ts';

/** Names of containers do not matter here: one that comes is looked at whatever its name is. */
const NO_CONTAINERS: ReadonlyMap<string, readonly string[]> = new Map();

export interface CgroupInterest {
  /** Absolute directories in which something may appear or go, those for paths that are named first. */
  readonly directories: readonly string[];
  /** Whether something has to be looked at anew because the cgroup at an absolute directory has come or gone. */
  readonly concerns: (directory: string) => boolean;
}

export function cgroupInterest(index: AppIndex, tree: CgroupTree): CgroupInterest {
  const { mountDir } = tree;
  const sought = soughtBy(index);
  const ways = waysTo(index.byCgroup.keys());
  const homes = sought === undefined ? [] : Array.from(cgroupHomes(tree, sought), ({ path }) => path);
  const paths = new Set([...existingParents(index.byCgroup.keys(), tree), ...homes]);
  return {
    directories: Array.from(paths, (path) => (path === '/' ? mountDir : `${mountDir}${path}`)),
    concerns: (directory) => {
      const path = directory.slice(mountDir.length);
      if (ways.has(path)) return true;
      if (sought === undefined) return false;
      if (isCgroupHome(path, sought) || matchExactCgroup(index, path, NO_CONTAINERS) !== undefined) return true;
      return sought.inRuntimes && scopesOfCgroup(path).containerId !== undefined;
    },
  };
}

/** Each path and all above it. */
function waysTo(paths: Iterable<string>): Set<string> {
  const ways = new Set<string>();
  for (const path of paths) {
    for (let way = path; way !== '' && !ways.has(way); way = parentOf(way)) ways.add(way);
  }
  return ways;
}

/** Of each path the parent, or the deepest there is of what is above it. */
function existingParents(paths: Iterable<string>, tree: CgroupTree): Set<string> {
  const found = new Set<string>();
  const missing = new Set<string>();
  for (const path of paths) {
    let parent = parentOf(path);
    while (parent !== '' && !found.has(parent) && (missing.has(parent) || tree.idOfPath(parent) === undefined)) {
      missing.add(parent);
      parent = parentOf(parent);
    }
    found.add(parent === '' ? '/' : parent);
  }
  return found;
}

/** Of `/a` the empty text: the root. */
const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));
