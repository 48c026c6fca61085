/** What a socket's mark names: who made it, as far as policies tell programs apart by anything but cgroup and user. */
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import type { AppIndex } from '../policy/match-app.ts';

/** `children`: what an application with `children: same` started. */
export type Program =
  | { readonly kind: 'exec'; readonly path: string }
  | { readonly kind: 'script'; readonly path: string }
  | { readonly kind: 'children'; readonly app: string };

/** The name under which its number is kept: `exec:/usr/bin/curl`, `children:org.example.Mail`. */
export function programName(program: Program): string {
  return `${program.kind}:${program.kind === 'children' ? program.app : program.path}`;
}

/** The program of a name; `undefined` where it is none. */
export function parseProgramName(name: string): Program | undefined {
  const colon = name.indexOf(':');
  const kind = name.slice(0, colon);
  const rest = name.slice(colon + 1);
  if (rest === '') return undefined;
  switch (kind) {
    case 'exec':
    case 'script':
      return { kind, path: rest };
    case 'children':
      return { kind, app: rest };
    default:
      return undefined;
  }
}

export interface NamedProgram {
  readonly program: Program;
  readonly policy: EffectivePolicy;
}

/** Every program that policies tell apart, and whose it is. */
export function* namedPrograms(index: AppIndex): Generator<NamedProgram> {
  for (const [path, { policy }] of index.byScript) yield { program: { kind: 'script', path }, policy };
  for (const [path, { policy }] of index.byExecutable) yield { program: { kind: 'exec', path }, policy };
  for (const [app, { policy }] of index.byParent) yield { program: { kind: 'children', app }, policy };
}
