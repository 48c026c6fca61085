import { describe, expect, it } from 'vitest';
import { type ExplainAnswer, experienceOf, problemsOf, uplinkOfSource } from './demo.ts';
import type { DemoStep } from './demo-steps.ts';

const STEP: DemoStep = {
  program: 'curl',
  command: ['/usr/bin/curl'],
  destination: 'www.example.org:80',
  explainTo: '203.0.113.10:80',
  reached: /^\d+\.\d+\.\d+\.\d+$/m,
  expected: { verdict: 'allowed', uplink: 'wifi' },
};
const ACCEPT: ExplainAnswer = { verdict: 'accept', uplink: 'wifi', fileLine: 'a.yaml:1', rule: '*' };
const AT_WIFI = { verdict: 'allowed', uplink: 'wifi', sourceSeen: '192.168.10.2' } as const;

describe('experienceOf', () => {
  it.each([
    ['192.168.10.2\n', '', 'reached'],
    ['', "curl: (7) Failed to connect to x port 80 after 0 ms: Couldn't connect to server", 'refused'],
    ['', 'curl: (28) Failed to connect to x port 80 after 5001 ms: Timeout was reached', 'silence'],
    ['', 'ssh: connect to host x port 22: Connection refused', 'refused'],
    ['', 'ssh: connect to host x port 22: No route to host', 'unreachable'],
    ['', 'urllib.error.URLError: <urlopen error [Errno 101] Network is unreachable>', 'unreachable'],
    ['', 'nc: connect to x port 7 (tcp) failed: Connection timed out', 'silence'],
    [';; communications error to x#53: host unreachable\n', '', 'unreachable'],
    [';; connection timed out; no servers could be reached\n', '', 'silence'],
    ['', '', 'silence'],
  ])('experienceOf() understands %j %j as %s', (stdout, stderr, experience) => {
    expect(experienceOf({ stdout, stderr }, STEP.reached)).toBe(experience);
  });
});

describe('uplinkOfSource', () => {
  it('uplinkOfSource() knows the device by its addresses', () => {
    const addresses = ['192.168.10.2', '2001:db8:20::2', '10.66.0.2', 'fd77::2', '198.51.100.77'];
    expect(addresses.map(uplinkOfSource)).toEqual(['wifi', 'cellular', 'vpn', 'lan', undefined]);
  });
});

describe('problemsOf', () => {
  it('problemsOf() finds none where program, server and explanation agree', () => {
    expect(problemsOf(STEP, AT_WIFI, ACCEPT)).toEqual([]);
  });

  it('problemsOf() names another uplink than expected, and than explained', () => {
    const observed = { verdict: 'allowed', uplink: 'cellular', sourceSeen: '10.20.30.2' } as const;
    expect(problemsOf(STEP, observed, ACCEPT)).toEqual([
      'expected to leave by wifi, the server saw 10.20.30.2',
      'explain says by wifi, was cellular',
    ]);
  });

  it('problemsOf() calls a refused connection that reached the server a leak', () => {
    const step: DemoStep = { ...STEP, expected: { verdict: 'refused' } };
    const denied: ExplainAnswer = { verdict: 'reject', cause: 'denied', fileLine: 'a.yaml:1', rule: '*' };
    expect(problemsOf(step, { ...AT_WIFI, verdict: 'refused' }, denied)).toEqual([
      'leaked: the server saw 192.168.10.2',
    ]);
  });

  it('problemsOf() names an explanation that contradicts the experience', () => {
    const dropped: ExplainAnswer = { verdict: 'drop', fileLine: 'a.yaml:1', rule: '*' };
    expect(problemsOf(STEP, AT_WIFI, dropped)).toEqual(['explain says drop, was allowed']);
  });
});
