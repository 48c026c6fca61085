import { describe, expect, it } from 'vitest';
import type { Generation } from '../netlink/nftables.ts';
import { RulesetWatch } from './ruleset-watch.ts';

function watchFrom(generation: number): { watch: RulesetWatch; foreign: Generation[] } {
  const foreign: Generation[] = [];
  return { watch: new RulesetWatch(generation, (by) => foreign.push(by)), foreign };
}

describe('RulesetWatch', () => {
  it('RulesetWatch tells of a later generation once', () => {
    const { watch, foreign } = watchFrom(5);
    watch.hear({ generation: 6, processName: 'nft' });
    watch.hear({ generation: 6, processName: 'nft' });
    expect(foreign).toEqual([{ generation: 6, processName: 'nft' }]);
  });

  it('RulesetWatch keeps quiet of generations that a change of ours ends with', () => {
    const { watch, foreign } = watchFrom(5);
    watch.beginChange();
    watch.hear({ generation: 6 });
    watch.endChange(7);
    watch.hear({ generation: 7 });
    expect(foreign).toEqual([]);
  });

  it('RulesetWatch tells of what came while we changed, and after what we saw', () => {
    const { watch, foreign } = watchFrom(5);
    watch.beginChange();
    watch.hear({ generation: 6 });
    watch.hear({ generation: 8 });
    expect(foreign).toEqual([]);
    watch.endChange(7);
    expect(foreign).toEqual([{ generation: 8 }]);
  });

  it('RulesetWatch survives the end of the 32 bits', () => {
    const { watch, foreign } = watchFrom(0xffffffff);
    watch.hear({ generation: 1 });
    watch.hear({ generation: 0xffffffff });
    expect(foreign).toEqual([{ generation: 1 }]);
  });
});
