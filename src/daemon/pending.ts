/** What has happened since the last round, joined: a round looks at everything, triggers only tell how closely. */

export type Trigger =
  /** Files may have changed. */
  | { readonly kind: 'files'; readonly changed: ReadonlySet<string> | 'everything' }
  /** Links, addresses, routes or rules. */
  | { readonly kind: 'network' }
  | { readonly kind: 'names' }
  | { readonly kind: 'cgroups' }
  /** The package manager has worked. */
  | { readonly kind: 'packages' }
  /** A time that profiles speak of has begun or ended. */
  | { readonly kind: 'time' }
  /** An uplink has come first for as long as a sticky choice waits for. */
  | { readonly kind: 'sticky' }
  /** Live flows are to be looked at once more. */
  | { readonly kind: 'flows' }
  /** Somebody else changed nftables. */
  | { readonly kind: 'foreign'; readonly by?: string }
  | { readonly kind: 'start' }
  | { readonly kind: 'retry' }
  | { readonly kind: 'roll back' };

export interface Pending {
  /** Absent: no file has changed. */
  readonly files?: ReadonlySet<string> | 'everything' | undefined;
  readonly kinds: ReadonlySet<Trigger['kind']>;
  readonly foreignBy?: string;
}

export const NOTHING_PENDING: Pending = { kinds: new Set() };

export function joinFiles(a: Pending['files'], b: Pending['files']): Pending['files'] {
  if (a === undefined || b === undefined) return a ?? b;
  return a === 'everything' || b === 'everything' ? 'everything' : new Set([...a, ...b]);
}

export function join(pending: Pending, trigger: Trigger): Pending {
  const kinds = new Set([...pending.kinds, trigger.kind]);
  switch (trigger.kind) {
    case 'files': {
      const files = joinFiles(pending.files, trigger.changed);
      return { ...pending, kinds, ...(files !== undefined && { files }) };
    }
    case 'roll back':
      // None of the files has changed, but which of them count.
      return { ...pending, kinds, files: pending.files ?? new Set() };
    case 'packages':
      // Of what packages say of programs, only what is theirs counts: it is looked at again.
      return { ...pending, kinds, files: pending.files ?? new Set() };
    case 'foreign':
      return { ...pending, kinds, ...(trigger.by !== undefined && { foreignBy: trigger.by }) };
    case 'network':
    case 'names':
    case 'cgroups':
    case 'time':
    case 'sticky':
    case 'flows':
    case 'start':
    case 'retry':
      return { ...pending, kinds };
  }
}

const WORDS: Record<Trigger['kind'], string> = {
  files: 'files changed',
  network: 'the network changed',
  names: 'addresses of names changed',
  cgroups: 'cgroups changed',
  packages: 'packages changed',
  time: 'a time window began or ended',
  sticky: 'a sticky choice is over',
  flows: 'another look at live flows',
  foreign: 'somebody else changed nftables',
  start: 'start',
  retry: 'another try',
  'roll back': 'the last change was taken back',
};

export function describePending({ kinds, foreignBy }: Pending): string {
  return [...kinds]
    .map((kind) => (kind === 'foreign' && foreignBy !== undefined ? `${foreignBy} changed nftables` : WORDS[kind]))
    .join(', ');
}
