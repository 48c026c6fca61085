import { join, resolve } from 'node:path';

/** Where everything stands that outlives a run, and the socket; see hier(7). All absolute. */
export interface Paths {
  /** What all others are below. */
  readonly root: string;
  readonly packagePolicies: string;
  readonly administratorPolicies: string;
  readonly locks: string;
  readonly answers: string;
  readonly uplinks: string;
  readonly profiles: string;
  readonly systemDefault: string;
  /** Which packages may speak for others. */
  readonly trustedPackages: string;
  readonly stateDir: string;
  /** Copies of the policy, uplink, profile and default files as they were when they last could be read. */
  readonly lastGoodDir: string;
  readonly ids: string;
  readonly runDir: string;
  readonly socketPath: string;
}

/** With `root`, every path stands below that directory. */
export function pathsFor(root = '/'): Paths {
  const base = resolve(root);
  const below = (path: string): string => join(base, path);
  return {
    root: base,
    packagePolicies: below('/usr/share/pointsman/policies'),
    administratorPolicies: below('/etc/pointsman/policies'),
    locks: below('/etc/pointsman/locks'),
    answers: below('/var/lib/pointsman/policies'),
    uplinks: below('/etc/pointsman/uplinks'),
    profiles: below('/etc/pointsman/profiles'),
    systemDefault: below('/etc/pointsman/default.yaml'),
    trustedPackages: below('/etc/pointsman/packages.yaml'),
    stateDir: below('/var/lib/pointsman'),
    lastGoodDir: below('/var/lib/pointsman/last-good'),
    ids: below('/var/lib/pointsman/ids.json'),
    runDir: below('/run/pointsman'),
    socketPath: below('/run/pointsman/pointsman.sock'),
  };
}

/** What a watcher of the files has to look at. */
export function watchedPaths(paths: Paths): {
  readonly directories: readonly string[];
  readonly files: readonly string[];
} {
  const { packagePolicies, administratorPolicies, locks, answers, uplinks, profiles } = paths;
  return {
    directories: [packagePolicies, administratorPolicies, locks, answers, uplinks, profiles],
    files: [paths.systemDefault, paths.trustedPackages],
  };
}
