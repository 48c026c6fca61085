import { APP_SERVED } from '../plan/reserved.ts';
import type { PolicySet } from '../policy/effective-policy.ts';

/** The names that each application's rules name, by the number of the application: made anew when either is another one. */
export class NamedBy {
  #policySet: PolicySet | undefined;
  #appIds: ReadonlyMap<string, number> | undefined;
  #byNumber: ReadonlyMap<number, ReadonlySet<string>> = new Map();

  of(policySet: PolicySet, appIds: ReadonlyMap<string, number>, appId: number): ReadonlySet<string> {
    if (this.#policySet !== policySet || this.#appIds !== appIds) {
      this.#policySet = policySet;
      this.#appIds = appIds;
      this.#byNumber = namesByNumber(policySet, appIds);
    }
    return this.#byNumber.get(appId) ?? NO_NAMES;
  }
}

const NO_NAMES: ReadonlySet<string> = new Set();

function namesByNumber(
  { apps }: PolicySet,
  appIds: ReadonlyMap<string, number>,
): ReadonlyMap<number, ReadonlySet<string>> {
  const byNumber = new Map<number, ReadonlySet<string>>();
  for (const { app, rules } of apps) {
    const names = rules.flatMap(({ to }) => to.flatMap(({ target }) => (target.kind === 'name' ? [target.name] : [])));
    const number = appIds.get(app);
    if (names.length > 0 && number !== undefined) byNumber.set(number, new Set(names));
  }
  // Any of the applications may be behind it.
  byNumber.set(APP_SERVED, new Set([...byNumber.values()].flatMap((names) => [...names])));
  return byNumber;
}
