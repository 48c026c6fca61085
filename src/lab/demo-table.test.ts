import { describe, expect, it } from 'vitest';
import type { DemoReport, DemoRow, OutageRow } from './demo.ts';
import { renderDemo } from './demo-table.ts';

const ROW: DemoRow = {
  program: 'curl -4',
  command: ['/usr/bin/curl'],
  destination: 'www.example.org:80',
  verdict: 'allowed',
  uplink: 'wifi',
  sourceSeen: '192.168.10.2',
  decidedBy: '/lab/root/etc/pointsman/policies/org.example.Browser.yaml:12',
  rule: '*',
  durationMs: 12,
  expected: { verdict: 'allowed', uplink: 'wifi' },
  problems: [],
};
const OUTAGE: OutageRow = { ...ROW, uplink: 'cellular', after: { uplink: 'wifi', change: 'down' } };
const REPORT: DemoReport = { ok: true, rows: [ROW], outage: [OUTAGE], notes: [], rootDir: '/lab/root' };
const PLAIN = { colour: false, commandName: 'sudo ./pointsman', id: 'lab' };

describe('renderDemo', () => {
  it('renderDemo() lines up the columns and shortens the file', () => {
    const [head, row] = renderDemo(REPORT, PLAIN).split('\n');
    expect(head).toBe('PROGRAM  DESTINATION         VERDICT  UPLINK  SOURCE SEEN   DECIDED BY');
    expect(row).toBe(
      'curl -4  www.example.org:80  allowed  wifi    192.168.10.2  policies/org.example.Browser.yaml:12',
    );
  });

  it('renderDemo() puts disagreements below their row and counts them', () => {
    const rows = [ROW, { ...ROW, problems: ['expected refused, was allowed'] }];
    const text = renderDemo({ ...REPORT, ok: false, rows }, PLAIN);
    expect(text).toContain(':12\n  ! expected refused, was allowed\n');
    expect(text).toContain('1 of 3 not as expected');
  });

  it('renderDemo() says in the second table what had happened to the links', () => {
    const text = renderDemo(REPORT, PLAIN);
    expect(text).toMatch(/^LINK {7}PROGRAM .*\nwifi down {2}curl -4 .* cellular /m);
    expect(text).toContain('\n2 of 2 as the policies say.\n');
  });

  it('renderDemo() writes notes, and commands that can be copied', () => {
    const text = renderDemo({ ...REPORT, notes: [{ about: 'cellular', text: 'no added latency' }] }, PLAIN);
    expect(text).toContain('Note: cellular: no added latency.');
    expect(text).toMatch(/^ {2}sudo \.\/pointsman lab down +# /m);
    const mine = renderDemo(REPORT, { ...PLAIN, id: 'mine' });
    expect(mine).toMatch(/^ {2}sudo \.\/pointsman lab --id mine down +# /m);
    expect(mine).toMatch(/^ {2}sudo \.\/pointsman explain --lab mine curl tracker\.example\.org:80 +# /m);
  });

  it('renderDemo() uses colours only where asked to', () => {
    expect(renderDemo(REPORT, PLAIN)).not.toContain('\u001b');
    expect(renderDemo(REPORT, { ...PLAIN, colour: true })).toContain('\u001b[32mallowed\u001b[0m  wifi');
  });
});
