/** `match` entries that nothing on any machine fits, or not what the person thinks, as far as the text alone tells. */
import type { MatchKind } from './model.ts';

export interface MisfitMatch {
  readonly message: string;
  readonly hint: string;
}

const RANGE = /^\d+-\d+$/;
/** An absolute path, and behind a blank an option or another path. A file's name may have blanks. */
const COMMAND_LINE = /^(\/\S+)\s+(?:-\S|\/)/;
/** The same with the name of a script. */
const INTERPRETER_LINE = /^(\/\S*\/(?:python|perl|ruby|node|bash|sh|php|java)[\d.]*)\s+\S/;

export function misfitMatch(kind: MatchKind, value: string): MisfitMatch | undefined {
  switch (kind) {
    case 'exec':
    case 'script':
      return misfitPath(kind, value);
    case 'cgroup':
      return misfitCgroup(value);
    case 'unit':
      return /@\.[a-z]+$/.test(value) ? template(value) : undefined;
    case 'user':
    case 'group':
      return RANGE.test(value) ? range(kind) : undefined;
    case 'package':
    case 'container':
    case 'flatpak':
    case 'snap':
    case 'desktop':
    case 'kernel':
      return undefined;
  }
}

function misfitPath(kind: 'exec' | 'script', value: string): MisfitMatch | undefined {
  const [, program] = COMMAND_LINE.exec(value) ?? INTERPRETER_LINE.exec(value) ?? [];
  if (program !== undefined) {
    const message = `${value} is the path of one file, blanks included, and no command line`;
    return { message, hint: `name the file alone: exec: ${program}, or the script that it runs: script: PATH` };
  }
  if (kind === 'script' && /\/__main__\.py$/.test(value)) {
    const message = `${value} is not seen when it starts: python3 runs it by the name of its directory or module (-m), often from its cache`;
    return {
      message,
      hint: 'name the program that calls it, such as a script that imports it, or the cgroup or user it runs as',
    };
  }
  if (!/[*?]|\[[^\]]+\]/.test(value)) return undefined;
  const message = `${value} is the path of one file: *, ? and [...] stand for themselves`;
  return { message, hint: `name each ${kind === 'exec' ? 'program' : 'script'}, or all of a package: package: NAME` };
}

/** The root has all programs in it, and no policy of an application is about all. */
export const ALL_CGROUPS_HINT =
  'all programs are in it: what holds for all stands in default.yaml (otherwise, via, accept); name one of those in it, such as /system.slice (systemd-cgls shows them)';
/** Where cgroup2 is mounted: cgroups(7). */
const CGROUP_MOUNT = /^\/sys\/fs\/cgroup(?:\/unified)?(?=\/|$)/;

function misfitCgroup(value: string): MisfitMatch | undefined {
  const within = value.replace(CGROUP_MOUNT, '');
  if (within !== value) {
    const message = `${value} is a path of the file system, and cgroups are named from the root of their hierarchy`;
    return { message, hint: within === '' ? ALL_CGROUPS_HINT : `write it so: cgroup: ${within}` };
  }
  if (!/[*?]/.test(value)) return undefined;
  const message = `${value} is one cgroup: * and ? stand for themselves`;
  const around = value.split('/').slice(
    0,
    value.split('/').findIndex((name) => /[*?]/.test(name)),
  );
  const parent = around.join('/');
  if (parent === '') return { message, hint: ALL_CGROUPS_HINT };
  return { message, hint: `name the cgroup that they are all in: what is inside is covered: cgroup: ${parent}` };
}

function template(unit: string): MisfitMatch {
  const instance = unit.replace(/@(?=\.[a-z]+$)/, '@NAME');
  return { message: `${unit} is a template: only its instances run`, hint: `name each instance: ${instance}` };
}

function range(kind: 'user' | 'group'): MisfitMatch {
  const message = `an entry names one ${kind}, and this is a range of numbers`;
  return { message, hint: kind === 'user' ? 'name each user, or a group that they are all in' : 'name each group' };
}
