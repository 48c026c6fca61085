import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RULE_PREF_LAST, RULE_PREF_LOCAL } from './reserved.ts';
import { isInRuleWindow, RULE_WINDOW_SIZE, ruleWindowBefore } from './rule-window.ts';

describe('ruleWindowBefore', () => {
  it.each([
    // wg-quick started first: what it takes by default is behind ours anyway.
    [32_764, 17_700],
    [18_000, 17_700],
    // wg-quick started after us: the number below our lowest.
    [17_699, 17_100],
    [5270, 4800],
    [600, 300],
    [599, undefined],
    [0, undefined],
  ])('ruleWindowBefore(%s) is %s', (preference, first) => {
    expect(ruleWindowBefore(preference)).toBe(first);
  });

  it('ruleWindowBefore() is a whole window before the rule, and one that is taken for ours', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 32_767 }), (preference) => {
        const first = ruleWindowBefore(preference);
        if (first === undefined) return;
        const last = first + RULE_WINDOW_SIZE - 1;
        expect(last).toBeLessThan(preference);
        expect(first).toBeLessThanOrEqual(RULE_PREF_LOCAL);
        expect([isInRuleWindow(first), isInRuleWindow(last)]).toEqual([true, true]);
      }),
    );
  });
});

describe('isInRuleWindow', () => {
  it('isInRuleWindow() is false for the kernel’s own rules and all behind ours', () => {
    expect([0, 299, RULE_PREF_LAST + 1, 32_766].map(isInRuleWindow)).toEqual([false, false, false, false]);
  });
});
