/** Numbers for names: a name keeps its number, and a vanished name's number is given away only when no other is left. */

export interface IdRegister {
  readonly first: number;
  readonly last: number;
  readonly inUse: ReadonlyMap<string, number>;
  /** Names that vanished, the longest gone first. */
  readonly gone: ReadonlyMap<string, number>;
}

export interface Assignment {
  readonly register: IdRegister;
  /** Names for which no number is left. */
  readonly without: readonly string[];
}

export function emptyRegister(first: number, last: number): IdRegister {
  return { first, last, inUse: new Map(), gone: new Map() };
}

/** The same register where `names` are just those in use. */
export function assignIds(register: IdRegister, names: readonly string[]): Assignment {
  const wanted = new Set(names);
  if (wanted.size === register.inUse.size && names.every((name) => register.inUse.has(name)))
    return { register, without: [] };
  const inUse = new Map<string, number>();
  const gone = new Map(register.gone);
  for (const [name, id] of register.inUse) {
    if (wanted.has(name)) inUse.set(name, id);
    else gone.set(name, id);
  }
  const returning = [...wanted].filter((name) => !inUse.has(name) && gone.has(name));
  for (const name of returning) {
    inUse.set(name, gone.get(name) as number);
    gone.delete(name);
  }
  const free = freeIds({ ...register, inUse, gone });
  const without: string[] = [];
  for (const name of wanted) {
    if (inUse.has(name)) continue;
    const id = free.next().value ?? takeOldest(gone);
    if (id === undefined) without.push(name);
    else inUse.set(name, id);
  }
  return { register: { ...register, inUse, gone }, without };
}

function* freeIds({ first, last, inUse, gone }: IdRegister): Generator<number, undefined> {
  const taken = new Set([...inUse.values(), ...gone.values()]);
  for (let id = first; id <= last; id += 1) if (!taken.has(id)) yield id;
  return undefined;
}

function takeOldest(gone: Map<string, number>): number | undefined {
  for (const [name, id] of gone) {
    gone.delete(name);
    return id;
  }
  return undefined;
}

/** Plain data for a file. */
export interface StoredIds {
  readonly inUse: readonly (readonly [name: string, id: number])[];
  readonly gone: readonly (readonly [name: string, id: number])[];
}

export function storedIds({ inUse, gone }: IdRegister): StoredIds {
  return { inUse: [...inUse], gone: [...gone] };
}

/** `undefined` where the data is not what `storedIds` made for this range: a number or a name twice, or out of range. */
export function registerFrom(stored: unknown, first: number, last: number): IdRegister | undefined {
  if (typeof stored !== 'object' || stored === null || !('inUse' in stored) || !('gone' in stored)) return undefined;
  const inUse = entriesFrom(stored.inUse);
  const gone = entriesFrom(stored.gone);
  if (inUse === undefined || gone === undefined) return undefined;
  const all = [...inUse, ...gone];
  if (all.some(([, id]) => id < first || id > last)) return undefined;
  const areUnique =
    new Set(all.map(([name]) => name)).size === all.length && new Set(all.map(([, id]) => id)).size === all.length;
  return areUnique ? { first, last, inUse: new Map(inUse), gone: new Map(gone) } : undefined;
}

function entriesFrom(list: unknown): readonly (readonly [string, number])[] | undefined {
  if (!Array.isArray(list)) return undefined;
  const entries: [string, number][] = [];
  for (const entry of list as readonly unknown[]) {
    if (!Array.isArray(entry) || entry.length !== 2) return undefined;
    const [name, id] = entry as readonly unknown[];
    if (typeof name !== 'string' || typeof id !== 'number' || !Number.isInteger(id)) return undefined;
    entries.push([name, id]);
  }
  return entries;
}
