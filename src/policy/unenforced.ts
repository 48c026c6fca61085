/** Words of the language that this version knows but cannot enforce: refused by name, never silently accepted. */
import type { Context } from './schema.ts';

export const UNENFORCED_KEYS: Readonly<Record<Context, readonly string[]>> = {
  policy: ['protect', 'limit'],
  uplink: [],
  default: ['protect', 'limit'],
  packages: [],
  match: [],
  rules: ['needs', 'protect', 'limit', 'existing'],
  via: [],
  constraint: [],
  gateway: [],
  needs: ['capacity'],
  profile: [],
  when: [],
  probe: [],
  dns: [],
  trust: [],
};

/** By the key that they are a value of. */
export const UNENFORCED_VALUES: ReadonlyMap<string, readonly string[]> = new Map([
  ['do', ['ask']],
  ['otherwise', ['ask']],
  ['unknown', ['ask']],
]);

/** `what`: the words as the file has them. */
export function notYetEnforced(what: string): { readonly code: 'not-yet-enforced'; readonly message: string } {
  const message = `${what} cannot be enforced by this version yet, so the file is refused rather than half enforced`;
  return { code: 'not-yet-enforced', message };
}
