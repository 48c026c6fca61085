/**
 * By what each map of the index tells who sends. Whoever reads several maps takes them from here: a map that is added does not compile until it is
 * said what it tells by, and then none of its readers leaves it out.
 */
import type { AppIndex } from './match-app.ts';

/** `cgroup name`: by what a cgroup's path says of the unit, container or application in it. `no process`: what the kernel itself sends. */
interface ToldBy {
  readonly byScript: 'program';
  readonly byExecutable: 'program';
  readonly byParent: 'program';
  readonly byCgroup: 'cgroup path';
  readonly byUnit: 'cgroup name';
  readonly byContainer: 'cgroup name';
  readonly byFlatpak: 'cgroup name';
  readonly bySnap: 'cgroup name';
  readonly byDesktop: 'cgroup name';
  readonly byUser: 'user';
  readonly byGroup: 'group';
  readonly byKernel: 'no process';
}

export const TOLD_BY: ToldBy = {
  byScript: 'program',
  byExecutable: 'program',
  byParent: 'program',
  byCgroup: 'cgroup path',
  byUnit: 'cgroup name',
  byContainer: 'cgroup name',
  byFlatpak: 'cgroup name',
  bySnap: 'cgroup name',
  byDesktop: 'cgroup name',
  byUser: 'user',
  byGroup: 'group',
  byKernel: 'no process',
};

type Trait = ToldBy[keyof AppIndex];

export type MapToldBy<T extends Trait> = {
  [K in keyof AppIndex]: ToldBy[K] extends T ? K : never;
}[keyof AppIndex];

export const INDEX_MAPS = Object.keys(TOLD_BY) as readonly (keyof AppIndex)[];

const mapsToldBy = <T extends Trait>(...traits: readonly T[]): readonly MapToldBy<T>[] =>
  INDEX_MAPS.filter((map): map is MapToldBy<T> => traits.some((trait) => trait === TOLD_BY[map]));

export const PROGRAM_MAPS: readonly MapToldBy<'program'>[] = mapsToldBy('program');
const CGROUP_MAPS = mapsToldBy('cgroup path', 'cgroup name');
export const CGROUP_NAME_MAPS: readonly MapToldBy<'cgroup name'>[] = mapsToldBy('cgroup name');
const USER_MAPS = mapsToldBy('user', 'group');

const hasAny = (index: AppIndex, maps: readonly (keyof AppIndex)[]): boolean => maps.some((map) => index[map].size > 0);

/** Whether any policy tells programs by their cgroups, under whatever name. */
export const speaksOfCgroups = (index: AppIndex): boolean => hasAny(index, CGROUP_MAPS);

/** The same, but for paths. */
export const speaksOfCgroupNames = (index: AppIndex): boolean => hasAny(index, CGROUP_NAME_MAPS);

/** Whether any policy tells programs by whoever runs them. */
export const speaksOfUsers = (index: AppIndex): boolean => hasAny(index, USER_MAPS);

/** Whether both name the same programs: `indexAppsAgain` keeps a map in which nothing changed. */
export const namesSamePrograms = (a: AppIndex, b: AppIndex): boolean => PROGRAM_MAPS.every((map) => a[map] === b[map]);
