import { describe, expect, it } from 'vitest';
import type { Generation } from '../netlink/nftables.ts';
import { RulesetWatch } from './ruleset-watch.ts';

/** `ours`: of each of the foreign ones, whether it touched ours. */
function watchFrom(generation: number): { watch: RulesetWatch; foreign: Generation[]; ours: boolean[] } {
  const foreign: Generation[] = [];
  const ours: boolean[] = [];
  const watch = new RulesetWatch(generation, (by, isOurs) => {
    foreign.push(by);
    ours.push(isOurs);
  });
  return { watch, foreign, ours };
}

describe('RulesetWatch', () => {
  it('RulesetWatch tells of a later generation once', () => {
    const { watch, foreign } = watchFrom(5);
    watch.hear({ generation: 6, processName: 'nft' }, false);
    watch.hear({ generation: 6, processName: 'nft' }, false);
    expect(foreign).toEqual([{ generation: 6, processName: 'nft' }]);
  });

  it('RulesetWatch keeps quiet of generations that a change of ours ends with', () => {
    const { watch, foreign } = watchFrom(5);
    watch.beginChange();
    watch.hear({ generation: 6 }, false);
    watch.endChange(7);
    watch.hear({ generation: 7 }, false);
    expect(foreign).toEqual([]);
  });

  it('RulesetWatch tells of what came while we changed, and after what we saw', () => {
    const { watch, foreign } = watchFrom(5);
    watch.beginChange();
    watch.hear({ generation: 6 }, false);
    watch.hear({ generation: 8 }, false);
    expect(foreign).toEqual([]);
    watch.endChange(7);
    expect(foreign).toEqual([{ generation: 8 }]);
  });

  it('RulesetWatch survives the end of the 32 bits', () => {
    const { watch, foreign } = watchFrom(0xffffffff);
    watch.hear({ generation: 1 }, false);
    watch.hear({ generation: 0xffffffff }, false);
    expect(foreign).toEqual([{ generation: 1 }]);
  });

  it('RulesetWatch says whether ours was touched, at any time while we changed as well', () => {
    const { watch, foreign, ours } = watchFrom(5);
    watch.hear({ generation: 6 }, true);
    watch.beginChange();
    watch.hear({ generation: 7 }, true);
    watch.hear({ generation: 8 }, false);
    watch.endChange(7);
    watch.hear({ generation: 9 }, false);
    expect([foreign.map(({ generation }) => generation), ours]).toEqual([
      [6, 8, 9],
      [true, true, false],
    ]);
  });
});
