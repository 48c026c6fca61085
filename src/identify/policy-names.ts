/** What policies tell programs apart by: whoever identifies need look no further. */
import type { Programs } from '../plan/host.ts';
import { namedPrograms, type Program, programName } from '../plan/program.ts';
import { PROGRAM_NONE_FIRST } from '../plan/reserved.ts';
import { type AppIndex, type AppMatch, keepsChildren, yieldsToFamilies } from '../policy/match-app.ts';
import type { Family } from './family.ts';

export interface PolicyNames {
  hasExecutable(path: string): boolean;
  executables(): Iterable<string>;
  /** Where the file of a named executable is looked for: the path as it is written, which links lead to where they lead now. */
  placeOf(path: string): string;
  readonly scripts: ReadonlySet<string>;
  /** Whether any application is followed by what it starts. */
  readonly anyChildren: boolean;
  /** Applications with `children: same`. */
  families(): Iterable<string>;
  /** What a program with this executable or script begins, where its application has `children: same`. */
  familyOf(program: { readonly executable?: string; readonly script?: string }): Family | undefined;
  /** The program with this number in a mark; `undefined` where it says that none is named, or nothing at all. */
  programOf(number: number): Program | undefined;
}

/** `programs` absent: marks say nothing. */
export function policyNames(index: AppIndex, programs: Programs | undefined): PolicyNames {
  const byNumber = new Map<number, Program>();
  for (const { program } of namedPrograms(index)) {
    const number = programs?.numbers.get(programName(program));
    if (number !== undefined) byNumber.set(number, program);
  }
  return {
    hasExecutable: (path) => index.byExecutable.has(path),
    executables: () => index.byExecutable.keys(),
    placeOf: (path) => placeOfEntry(path, index.byExecutable.get(path)),
    scripts: new Set(index.byScript.keys()),
    anyChildren: index.byParent.size > 0,
    families: () => index.byParent.keys(),
    familyOf: ({ executable = '', script = '' }) => {
      const match = index.byScript.get(script) ?? index.byExecutable.get(executable);
      if (match === undefined || !index.byParent.has(match.policy.app)) return undefined;
      return { app: match.policy.app, keeps: keepsChildren(match.policy), yields: yieldsToFamilies(match) };
    },
    programOf: (number) => (number < PROGRAM_NONE_FIRST ? byNumber.get(number) : undefined),
  };
}

/** `match`: what the index has for the path. */
export const placeOfEntry = (path: string, match: AppMatch | undefined): string =>
  (match !== undefined && 'written' in match.match ? match.match.written : undefined) ?? path;
