import { describe, expect, it } from 'vitest';
import type { Explanation } from '../api/explanation.ts';
import { renderExplanation } from './render-explanation.ts';

const explanation: Explanation = {
  app: 'org.example.Browser',
  identity: '/usr/bin/curl: matched by exec /usr/bin/curl, /etc/b.yaml:6',
  layers: [{ layer: 'administrator', file: '/etc/b.yaml' }],
  destination: 'www.example.org:80/tcp',
  nameNote: 'www.example.org: resolved just now',
  flows: [
    {
      address: '203.0.113.10',
      verdict: 'accept',
      way: 'uplink wifi',
      reason: 'rule 2 "*"',
      file: '/etc/b.yaml',
      line: 11,
      rules: [
        {
          index: 0,
          layer: 'administrator',
          file: '/etc/b.yaml',
          line: 8,
          text: 'deny tracker.example.org',
          outcome: 'did not match',
        },
        { index: 1, layer: 'administrator', file: '/etc/b.yaml', line: 11, text: 'allow *', outcome: 'matched' },
      ],
      uplinks: [
        { uplink: 'wifi', taken: true, because: 'permitted' },
        { uplink: 'cellular', taken: false, because: 'prohibited: metered true' },
      ],
      path: 'first packet goes to the daemon',
    },
  ],
};

describe('renderExplanation', () => {
  it('renderExplanation shows the verdict first, then all that led to it', () => {
    expect(renderExplanation(explanation, { colour: false })).toBe(`org.example.Browser -> www.example.org:80/tcp
  /usr/bin/curl: matched by exec /usr/bin/curl, /etc/b.yaml:6
  policy (administrator): /etc/b.yaml
  name: www.example.org: resolved just now

203.0.113.10: allowed by uplink wifi
  because rule 2 "*", /etc/b.yaml:11
  rules:
    1  did not match  deny tracker.example.org  administrator /etc/b.yaml:8
    2  matched        allow *                   administrator /etc/b.yaml:11
  uplinks:
    wifi      taken      permitted
    cellular  not taken  prohibited: metered true
  path: first packet goes to the daemon
`);
  });

  it('renderExplanation says why nothing goes where no uplink is permitted', () => {
    const [flow] = explanation.flows;
    if (flow === undefined) throw new Error('the fixture has a flow');
    const { way: _, ...refused } = { ...flow, verdict: 'reject', cause: 'no-uplink' } as const;
    const text = renderExplanation({ ...explanation, flows: [refused] }, { colour: false });
    expect(text).toContain('203.0.113.10: refused, because no uplink is permitted\n');
  });

  it('renderExplanation says so where a name has no address', () => {
    expect(renderExplanation({ ...explanation, flows: [] }, { colour: false })).toContain(
      'No address: nothing to decide yet.',
    );
  });
});
