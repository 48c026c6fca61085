/** Which `match` entries of packages' policy files count (`policy/package-claims.ts`), judged anew only where dpkg or the administrator has changed something. */
import { basename } from 'node:path';
import type { Diagnostic } from '../policy/diagnostic.ts';
import type { Match } from '../policy/model.ts';
import { judgeClaims, type Shipper } from '../policy/package-claims.ts';
import { diagnosticAt } from '../policy/policy-source.ts';

/** Whoever knows which package has a file. */
export interface PolicyShippers {
  /** Another text after every change of packages; `undefined` where nobody can tell. */
  version(): string | undefined;
  /** By the names of files in the packages' directory. */
  shippers(names: Iterable<string>): ReadonlyMap<string, Shipper>;
}

interface Claiming {
  readonly match: readonly Match[];
  readonly file: string;
}

const NOBODY: Shipper = { kind: 'nobody' };

export class PackageClaims {
  readonly #source: PolicyShippers | undefined;
  #known = '';
  #trusted: ReadonlySet<string> = new Set();
  /** `undefined`: nobody can tell, and all of it counts. */
  #shippers: ReadonlyMap<string, Shipper> | undefined;
  #judged = new WeakMap<Claiming, Claiming>();
  #refused = new Map<string, readonly Diagnostic[]>();

  constructor(source: PolicyShippers | undefined) {
    this.#source = source;
  }

  /** Whether anything may be judged in another way than before. `names`: of the files that are there. */
  refresh(names: readonly string[], trusted: ReadonlySet<string>): boolean {
    const version = names.length === 0 ? undefined : this.#source?.version();
    const known = version === undefined ? '' : [version, ...names, '', ...trusted].join('\n');
    if (known === this.#known) return false;
    this.#known = known;
    this.#trusted = trusted;
    this.#shippers = version === undefined ? undefined : this.#source?.shippers(names);
    this.#judged = new WeakMap();
    this.#refused = new Map();
    return true;
  }

  /** The same object where all of it counts, and for the same object the same answer until the next `refresh` that is true. */
  judge<T extends Claiming>(policy: T): T {
    if (this.#shippers === undefined) return policy;
    // Only what was made from a T is kept for it.
    const known = this.#judged.get(policy) as T | undefined;
    if (known !== undefined) return known;
    const name = basename(policy.file);
    const { match, diagnostics } = judgeClaims(policy.match, this.#shippers.get(name) ?? NOBODY, this.#trusted);
    const judged = match === policy.match ? policy : { ...policy, match };
    this.#judged.set(policy, judged);
    if (diagnostics.length === 0) this.#refused.delete(name);
    else this.#refused.set(name, diagnostics);
    return judged;
  }

  /** What does not count of these files in this directory, or that nobody can tell. */
  diagnostics(directory: string, names: readonly string[]): readonly Diagnostic[] {
    if (this.#shippers !== undefined) return names.flatMap((name) => this.#refused.get(name) ?? []);
    if (names.length === 0 || this.#source === undefined) return [];
    const message =
      'this machine has no dpkg to say which package has which program: packages speak for whom they like';
    return [diagnosticAt({ file: directory, line: 1, column: 1 }, 'warning', 'claims-not-checked', message)];
  }
}
