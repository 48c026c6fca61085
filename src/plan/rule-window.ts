/**
 * Where our routing rules stand among those of others. They are one window of RULE_WINDOW_SIZE preferences, by default from
 * RULE_PREF_LOCAL on. `ip rule add` without a preference, as wg-quick does it, takes the number below the lowest there is: such a
 * rule would come before ours or after them by who was started first. So the whole window moves before whoever takes everything.
 */
import { RULE_PREF_LAST, RULE_PREF_LOCAL } from './reserved.ts';

export const RULE_WINDOW_SIZE: number = RULE_PREF_LAST - RULE_PREF_LOCAL + 1;
/** Of all windows: those before it belong to the kernel's `lookup local`, and to whoever means to be first. */
export const RULE_WINDOW_LOWEST: number = RULE_WINDOW_SIZE;

/** First preference of the window that ends before `preference`; `undefined` where there is none. Never above RULE_PREF_LOCAL. */
export function ruleWindowBefore(preference: number): number | undefined {
  if (preference > RULE_PREF_LAST) return RULE_PREF_LOCAL;
  // Windows begin at multiples of their size, as RULE_PREF_LOCAL does: few moves where somebody's number differs by one or two.
  const first = (Math.floor(preference / RULE_WINDOW_SIZE) - 1) * RULE_WINDOW_SIZE;
  return first < RULE_WINDOW_LOWEST ? undefined : first;
}

/** Any of the windows: where a predecessor's rules may stand. */
export function isInRuleWindow(preference: number): boolean {
  return preference >= RULE_WINDOW_LOWEST && preference <= RULE_PREF_LAST;
}
