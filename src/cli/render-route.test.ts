import { describe, expect, it } from 'vitest';
import type { RouteReport } from '../api/route.ts';
import { routeQuery } from './commands/route.ts';
import { renderRoute } from './render-route.ts';

const uplinks = [
  { uplink: 'wifi', taken: true, because: 'permitted' },
  { uplink: 'phone', taken: false, because: 'prohibited: metered true' },
];
const REPORT: RouteReport = {
  app: 'org.example.Mail',
  identity: 'matched by exec /usr/bin/mail',
  rules: [
    {
      rule: 'rule 1: allow *',
      file: '/p/mail.yaml',
      line: 7,
      via: 'via prohibit metered: true; else block',
      local: 'directly connected',
      v4: { way: 'uplink wifi', uplinks },
      v6: { way: 'refused: no uplink will do', uplinks: [{ uplink: 'wifi', taken: false, because: 'it is down' }] },
    },
    {
      rule: 'system default: allow',
      file: '(built in)',
      line: 1,
      v4: { way: "the system's route", uplinks: [] },
      v6: { way: "the system's route", uplinks: [] },
    },
  ],
  traffic: [{ way: 'uplink wifi', connections: 2, packets: 9, bytes: 4000 }],
  isCounted: true,
};

describe('renderRoute', () => {
  it('renderRoute shows each rule with the way of both families, once where they are the same', () => {
    expect(renderRoute(REPORT, { colour: false })).toBe(`\
org.example.Mail
  matched by exec /usr/bin/mail

rule 1: allow *  /p/mail.yaml:7
  via prohibit metered: true; else block
  IPv4 -> uplink wifi
       wifi   taken      permitted
       phone  not taken  prohibited: metered true
  IPv6 -> refused: no uplink will do
       wifi  not taken  it is down
  local -> directly connected

system default: allow  (built in)
  -> the system's route

Open by uplink wifi: 2 connections, 4.0 kB in 9 packets.
Traffic is that of connections that are open now, in both directions.
Local are link-local addresses, and directly connected networks of private addresses.
`);
  });

  it('renderRoute says of which files the last good version is meant', () => {
    expect(renderRoute(REPORT, { colour: false })).not.toContain('last good');
    const text = renderRoute({ ...REPORT, lastGood: ['/p/mail.yaml'] }, { colour: false });
    expect(text).toContain('note: /p/mail.yaml has a mistake: its last good version is in force');
  });

  it('renderRoute says that an application is blocked, and that nothing is open', () => {
    const blocked = { ...REPORT, rules: [], traffic: [], blocked: 'its file is broken' };
    const text = renderRoute(blocked, { colour: false });
    expect(text).toContain('everything is refused: its file is broken');
    expect(text).toContain('No connections are open.');
  });
});

describe('routeQuery', () => {
  it.each([
    ['4711', { pid: 4711 }],
    ['org.example.Mail', { app: 'org.example.Mail' }],
    ['0', { app: '0' }],
    ['99999999999', { app: '99999999999' }],
  ])('routeQuery takes %s for what it is', (who, query) => {
    expect(routeQuery(who)).toEqual(query);
  });
});
