import { describe, expect, it } from 'vitest';
import type { ExplainedFlow, Explanation } from './explain.ts';
import { explainAway } from './explain-away.ts';

const flow = (part: Partial<ExplainedFlow>): ExplainedFlow => ({
  ...{ address: '203.0.113.10', verdict: 'queue', reason: 'so', rules: [], uplinks: [], path: 'asked' },
  ...part,
});
const explanation = (...flows: readonly ExplainedFlow[]): Explanation => ({
  ...{ identity: 'matched', layers: [], destination: '203.0.113.10:80/tcp', flows },
});

describe('explainAway', () => {
  it('explainAway() holds nothing: what waits for an uplink is refused, what depends on a name cannot be told', () => {
    const held = explanation(flow({ heldFor: 'uplink' }), flow({ heldFor: 'name' }));
    const [uplink, name] = explainAway(held, { whenAway: 'closed' }).flows;
    expect(uplink).toMatchObject({ verdict: 'reject', reason: 'so; no daemon runs, and so nothing waits' });
    expect(name).toMatchObject({
      verdict: 'untold',
      reason: expect.stringMatching(/learned.*refused \(whenAway: closed\)/),
    });
    const [, open] = explainAway(held, { whenAway: 'open' }).flows;
    expect(open?.reason).toContain('let through (whenAway: open)');
    for (const one of [uplink, name, open]) expect(one).not.toHaveProperty('heldFor');
  });

  it('explainAway() leaves alone what the kernel decides', () => {
    const decided = explanation(flow({ verdict: 'accept', way: 'uplink wifi' }), flow({ verdict: 'reject' }));
    expect(explainAway(decided, { whenAway: 'closed' })).toEqual(decided);
  });
});
