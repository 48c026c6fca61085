/** What policies tell programs apart by: whoever identifies need look no further. */
import type { Programs } from '../plan/host.ts';
import { type Program, parseProgramName } from '../plan/program.ts';
import { PROGRAM_NONE_FIRST } from '../plan/reserved.ts';
import { type AppIndex, keepsChildren, yieldsToFamilies } from '../policy/match-app.ts';
import type { Family } from './family.ts';

export interface PolicyNames {
  hasExecutable(path: string): boolean;
  executables(): Iterable<string>;
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
  const byNumber = new Map<number, string>([...(programs?.numbers ?? [])].map(([name, number]) => [number, name]));
  return {
    hasExecutable: (path) => index.byExecutable.has(path),
    executables: () => index.byExecutable.keys(),
    scripts: new Set(index.byScript.keys()),
    anyChildren: index.byParent.size > 0,
    families: () => index.byParent.keys(),
    familyOf: ({ executable = '', script = '' }) => {
      const match = index.byScript.get(script) ?? index.byExecutable.get(executable);
      if (match === undefined || !index.byParent.has(match.policy.app)) return undefined;
      return { app: match.policy.app, keeps: keepsChildren(match.policy), yields: yieldsToFamilies(match) };
    },
    programOf: (number) => {
      const name = number < PROGRAM_NONE_FIRST ? byNumber.get(number) : undefined;
      return name === undefined ? undefined : parseProgramName(name);
    },
  };
}
