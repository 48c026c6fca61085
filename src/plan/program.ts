/** What a socket's mark names: who made it, as far as policies tell programs apart by anything but cgroup and user. */
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import type { AppIndex, AppMatch } from '../policy/match-app.ts';
import { type MapToldBy, PROGRAM_MAPS } from '../policy/told-by.ts';

/**
 * `children`: what an application with `children: same` started. `written`: where `path` is but the file to which a link leads now, the path that
 * people wrote.
 */
export type Program =
  | { readonly kind: 'exec'; readonly path: string; readonly written?: string }
  | { readonly kind: 'script'; readonly path: string; readonly written?: string }
  | { readonly kind: 'children'; readonly app: string };

/**
 * The name under which its number is kept: `exec:/usr/bin/curl`, `children:org.example.Mail`. By the path as it is written: whoever runs goes on
 * being the program when a link on it is switched.
 */
export function programName(program: Program): string {
  return `${program.kind}:${program.kind === 'children' ? program.app : (program.written ?? program.path)}`;
}

/** What an `exec` or `script` entry of the index names. */
export function programOfEntry<K extends 'exec' | 'script'>(
  kind: K,
  path: string,
  { match }: Pick<AppMatch, 'match'>,
): { readonly kind: K; readonly path: string; readonly written?: string } {
  const written = 'written' in match ? match.written : undefined;
  return { kind, path, ...(written !== undefined && { written }) };
}

export interface NamedProgram {
  readonly program: Program;
  readonly policy: EffectivePolicy;
}

/** Every program that policies tell apart, and whose it is. */
export function* namedPrograms(index: AppIndex): Generator<NamedProgram> {
  for (const map of PROGRAM_MAPS)
    for (const [key, match] of index[map]) yield { program: NAMED_BY[map](key, match), policy: match.policy };
}

/** What an entry of a map names. */
const NAMED_BY: Readonly<Record<MapToldBy<'program'>, (key: string, match: AppMatch) => Program>> = {
  byScript: (path, match) => programOfEntry('script', path, match),
  byExecutable: (path, match) => programOfEntry('exec', path, match),
  byParent: (app) => ({ kind: 'children', app }),
};
