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

  it('renderExplanation says of which files the last good version is meant', () => {
    const text = renderExplanation({ ...explanation, lastGood: ['/etc/b.yaml'] }, { colour: false });
    expect(text).toContain('note: /etc/b.yaml has a mistake: its last good version is in force');
  });

  it('renderExplanation says why nothing goes where no uplink is permitted', () => {
    const [flow] = explanation.flows;
    if (flow === undefined) throw new Error('the fixture has a flow');
    const { way: _, ...refused } = { ...flow, verdict: 'reject', cause: 'no-uplink' } as const;
    const text = renderExplanation({ ...explanation, flows: [refused] }, { colour: false });
    expect(text).toContain('203.0.113.10: refused, because no uplink is permitted\n');
  });

  it('renderExplanation shows who connects, and the entries of accept', () => {
    const [outbound] = explanation.flows;
    if (outbound === undefined) throw new Error('the fixture has a flow');
    const entry = (index: number, outcome: 'matched' | 'did not match') => {
      const text = `192.0.2.${index}:22/tcp`;
      return { index, layer: 'administrator', file: '/etc/s.yaml', line: 6 + index, text, outcome };
    };
    const flow = {
      ...outbound,
      address: '192.0.2.7',
      way: 'came in',
      reason: 'accept (administrator): 192.0.2.7:22/tcp',
      file: '/etc/s.yaml',
      line: 7,
      rules: [],
      uplinks: [],
    };
    const { nameNote: _, ...head } = { ...explanation, source: '192.0.2.7:50000', destination: 'port 22/tcp' };
    const render = (accept: ReturnType<typeof entry>[]) =>
      renderExplanation({ ...head, flows: [{ ...flow, accept }] }, { colour: false });
    expect(
      render([entry(0, 'did not match'), entry(1, 'matched')]),
    ).toBe(`192.0.2.7:50000 -> port 22/tcp of org.example.Browser
  /usr/bin/curl: matched by exec /usr/bin/curl, /etc/b.yaml:6
  policy (administrator): /etc/b.yaml

192.0.2.7: allowed
  because accept (administrator): 192.0.2.7:22/tcp, /etc/s.yaml:7
  accept:
    1  did not match  192.0.2.0:22/tcp  administrator /etc/s.yaml:6
    2  matched        192.0.2.1:22/tcp  administrator /etc/s.yaml:7
  path: first packet goes to the daemon
`);
    const many = Array.from({ length: 100 }, (_, index) => entry(index, index === 90 ? 'matched' : 'did not match'));
    const lines = render(many).split('\n');
    expect(lines.filter((line) => /22\/tcp +administrator/.test(line))).toHaveLength(17);
    expect(lines.some((line) => /^ {4}91 +matched/.test(line))).toBe(true);
    expect(lines.some((line) => /^ +and 83 more$/.test(line))).toBe(true);
  });

  it('renderExplanation says so where a name has no address', () => {
    expect(renderExplanation({ ...explanation, flows: [] }, { colour: false })).toContain(
      'No address: nothing to decide yet.',
    );
  });
});
