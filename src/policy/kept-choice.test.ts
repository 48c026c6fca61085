import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import type { FamilyHealth, UplinkState } from './facts.ts';
import { type KeptChoice, keepChoice, keepChoices, stickyVias } from './kept-choice.ts';
import type { Uplink, Via } from './model.ts';
import { builtinSystemDefault } from './validate-system-default.ts';
import { keptKey } from './via-text.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const STICKY_MS = 600;
const sticky: Via = {
  require: {},
  prefer: {},
  avoid: {},
  prohibit: {},
  else: 'block',
  stickyMs: STICKY_MS,
  at,
};

/** What happens at which moment: who is best, and who would do. */
function follow(...steps: readonly (readonly [nowMs: number, best: string, usable: string])[]): string[] {
  let choice: KeptChoice | undefined;
  return steps.map(([nowMs, best, usable]) => {
    choice = keepChoice(choice, { best: [...best], usable: [...usable] }, STICKY_MS, nowMs);
    return choice.uplinks.join('');
  });
}

describe('keepChoice()', () => {
  it('keepChoice() begins with the best', () => {
    expect(follow([0, 'a', 'ab'])).toEqual(['a']);
    expect(follow([0, '', ''], [1, 'b', 'b'])).toEqual(['', 'b']);
  });

  it('keepChoice() gives up at once what does not work any more', () => {
    expect(follow([0, 'a', 'ab'], [1, 'b', 'b'])).toEqual(['a', 'b']);
  });

  it('keepChoice() stays with the second best until the best has been it for long enough', () => {
    const back = follow([0, 'a', 'ab'], [1, 'b', 'b'], [10, 'a', 'ab'], [609, 'a', 'ab'], [610, 'a', 'ab']);
    expect(back).toEqual(['a', 'b', 'b', 'b', 'a']);
  });

  it('keepChoice() counts anew when the better one has gone meanwhile, or another one is it', () => {
    const lost = follow([0, 'b', 'b'], [10, 'a', 'ab'], [500, 'b', 'b'], [520, 'a', 'ab'], [1119, 'a', 'ab']);
    expect(lost).toEqual(['b', 'b', 'b', 'b', 'b']);
    const other = follow([0, 'b', 'b'], [10, 'a', 'abc'], [500, 'c', 'abc'], [1099, 'c', 'abc'], [1100, 'c', 'abc']);
    expect(other).toEqual(['b', 'b', 'b', 'b', 'c']);
  });

  it('keepChoice() keeps of several that share those that still work', () => {
    const shared = follow([0, 'ab', 'abc'], [1, 'bc', 'bc'], [600, 'bc', 'bc'], [601, 'bc', 'bc']);
    expect(shared).toEqual(['ab', 'b', 'b', 'bc']);
  });

  it('keepChoice() never takes what would not do while something does, nor changes sooner than it is to', () => {
    const names = fc.uniqueArray(fc.constantFrom<string>('a', 'b', 'c'), { minLength: 1 });
    const look = fc
      .tuple(names, fc.nat(400))
      .chain(([usable, passedMs]) =>
        fc.tuple(fc.shuffledSubarray(usable, { minLength: 1 }), fc.constant({ usable, passedMs })),
      );
    fc.assert(
      fc.property(fc.array(look, { maxLength: 30 }), (looks) => {
        let choice: KeptChoice | undefined;
        let nowMs = 0;
        let changedMs = Number.NEGATIVE_INFINITY;
        for (const [best, { usable, passedMs }] of looks) {
          nowMs += passedMs;
          const before = choice?.uplinks ?? [];
          choice = keepChoice(choice, { best, usable }, STICKY_MS, nowMs);
          expect(choice.uplinks.length).toBeGreaterThan(0);
          expect(choice.uplinks.every((name) => usable.includes(name))).toBe(true);
          const gained = choice.uplinks.some((name) => !before.includes(name));
          const isFree = !before.some((name) => usable.includes(name));
          // Who works keeps others out for as long as it is to.
          if (gained && !isFree) expect(nowMs - changedMs).toBeGreaterThanOrEqual(STICKY_MS);
          if (gained) changedMs = nowMs;
          if (choice.better !== undefined) expect(nowMs - choice.better.sinceMs).toBeLessThan(STICKY_MS);
        }
      }),
    );
  });
});

const uplinks = ['wifi', 'cellular'].map(
  (name, i): Uplink => ({
    name,
    device: `${name}0`,
    priority: i,
    properties: { type: 'other', metered: false, roaming: false, trusted: false, encrypted: false },
    gateways: {},
    at,
  }),
);

const states = (wifi: Partial<UplinkState> = {}): UplinkState[] =>
  uplinks.map(({ name, device }, i) => ({
    ...{
      name,
      id: i + 1,
      device,
      deviceIndex: i + 2,
      up: true,
      v4: true,
      v6: true,
      addresses: [],
      onLink: [],
      gateways: {},
    },
    ...(i === 0 ? wifi : {}),
  }));
const DOWN = { up: false, v4: false, v6: false };
const failed: FamilyHealth = { state: 'failed' };

describe('keepChoices()', () => {
  const look = (wifi: Partial<UplinkState>, nowMs: number, before?: ReturnType<typeof keepChoices>) =>
    keepChoices([sticky], { uplinks, states: states(wifi) }, nowMs, before);
  const kept = ({ kept: choices }: ReturnType<typeof keepChoices>) =>
    [4, 6].map((family) => choices.get(keptKey(sticky, family as 4 | 6)));

  it('keepChoices() tells families apart, and says when the next choice is over', () => {
    const first = look({}, 0);
    expect(kept(first)).toEqual([['wifi'], ['wifi']]);
    expect(first).not.toHaveProperty('dueMs');
    const lost = look({ v6: false }, 100, first);
    expect(kept(lost)).toEqual([['wifi'], ['cellular']]);
    const back = look({}, 150, lost);
    expect(kept(back)).toEqual([['wifi'], ['cellular']]);
    expect(back.dueMs).toBe(150 + STICKY_MS);
    expect(kept(look({}, 150 + STICKY_MS, back))).toEqual([['wifi'], ['wifi']]);
  });

  it('keepChoices() counts an uplink whose probes fail as one that does not work', () => {
    const lost = look({ health: { v4: failed } }, 10, look({}, 0));
    expect(kept(lost)).toEqual([['cellular'], ['wifi']]);
    expect(kept(look({}, 20, lost))).toEqual([['cellular'], ['wifi']]);
  });

  it('keepChoices() is the same object as long as it says the same, and forgets whom nobody speaks of', () => {
    const first = look(DOWN, 0);
    const waits = look({}, 10, first);
    expect(waits.kept).toBe(first.kept);
    expect(look({}, 20, waits).kept).toBe(first.kept);
    expect(keepChoices([], { uplinks, states: states() }, 30, waits).kept.size).toBe(0);
  });
});

describe('stickyVias()', () => {
  it('stickyVias() finds them in policies, rules in force or not, and the default, equal ones once', () => {
    const other = { ...sticky, stickyMs: 5000 };
    const plain: Via = { require: {}, prefer: {}, avoid: {}, prohibit: {}, else: 'block', at };
    const rule = (via: Via) => ({ to: [], do: 'allow', at, layer: 'administrator', via }) as const;
    const policy: EffectivePolicy = {
      app: 'a',
      match: [],
      rules: [rule(sticky), rule(plain)],
      dormant: [rule({ ...sticky, share: 'app' })],
      files: [],
      via: { value: { ...sticky, at: { ...at, line: 9 } }, layer: 'administrator' },
    };
    const policySet: PolicySet = { apps: [policy], uplinks, systemDefault: { ...builtinSystemDefault, via: other } };
    expect(stickyVias(policySet).map(({ stickyMs, share }) => [stickyMs, share])).toEqual([
      [5000, undefined],
      [STICKY_MS, undefined],
      [STICKY_MS, 'app'],
    ]);
  });
});
