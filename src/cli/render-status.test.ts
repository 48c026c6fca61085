import { describe, expect, it } from 'vitest';
import type { Status } from '../api/status.ts';
import { renderStatus } from './render-status.ts';

const nowMs = 1_700_000_000_000;

const status: Status = {
  state: 'enforcing',
  version: '0.1.0',
  pid: 4711,
  sinceMs: nowMs - 7_380_000,
  root: '/',
  revision: 7,
  queue: 'nft',
  identity: {
    executables: { inKernel: true },
    scripts: { inKernel: false, because: 'fanotify_init: EPERM' },
    children: { inKernel: true },
    sockets: { marked: 120, unmarked: 30, foreign: 1, tasksLost: 0 },
  },
  apps: [
    { app: 'org.example.Mail', id: 1, rules: 3, files: ['/etc/pointsman/policies/mail.yaml'], tier: 'executable' },
    { app: 'org.example.B', id: 2, rules: 0, files: ['/etc/b.yaml'], tier: 'none', blocked: 'no good file' },
  ],
  uplinks: [
    {
      name: 'wifi',
      device: 'wlan0',
      up: true,
      v4: true,
      v6: true,
      properties: 'wifi',
      addresses: ['192.0.2.7', '2001:db8::7'],
      health: {
        v4: { state: 'good', rttMs: 20, lossRatio: 0.05, validated: true },
        v6: { state: 'failed', rttMs: 20, lossRatio: 1 },
      },
    },
    {
      name: 'cellular',
      device: 'wwan0',
      up: false,
      v4: false,
      v6: false,
      properties: 'cellular, metered',
      addresses: [],
    },
  ],
  verdicts: {
    queued: 12,
    accepted: 9,
    rejected: 2,
    dropped: 0,
    held: 1,
    undecodable: 0,
    latencyMicroseconds: { p50: 80, p99: 400 },
  },
  dns: { asked: 9, answered: 8, failed: 1, mismatched: 2, learned: 3 },
  warnings: [],
  diagnostics: [],
  residentBytes: 54_321_000,
};

describe('renderStatus', () => {
  it.each([
    [undefined, '-'],
    [{ v4: { state: 'unknown', lossRatio: 1 } }, 'unknown, 100 % lost'],
    [{ v4: { state: 'good', rttMs: 2, lossRatio: 0 } }, 'link works, 2 ms'],
    [{ v6: { state: 'good', rttMs: 2, validated: true } }, 'good, 2 ms'],
    [{ v4: { state: 'good', rttMs: 2, captivePortal: true } }, 'captive portal, 2 ms'],
  ] as const)('renderStatus says of health %o: %s', (health, words) => {
    const uplinks = status.uplinks.map(({ health: _, ...uplink }) => ({ ...uplink, ...(health && { health }) }));
    const line = renderStatus({ ...status, uplinks }, { colour: false, nowMs })
      .split('\n')
      .find((text) => text.startsWith('wifi'));
    expect(line?.replace(/ {2,}/g, '  ')).toContain(`IPv4 IPv6  ${words}  wifi  192`);
  });

  it('renderStatus shows state, uplinks, applications and verdicts', () => {
    expect(renderStatus(status, { colour: false, nowMs })).toBe(
      `pointsman 0.1.0: enforcing, the policies are in force
running for 2 h 3 min, process 4711, revision 7, nft queue, 54 MB

UPLINK    DEVICE  STATE  CARRIES    HEALTH                                               PROPERTIES         ADDRESSES
wifi      wlan0   up     IPv4 IPv6  IPv4 good, 20 ms, 5 % lost; IPv6 failed, 100 % lost  wifi               192.0.2.7 2001:db8::7
cellular  wwan0   down   -          -                                                    cellular, metered

APPLICATION       RULES  TOLD BY     FILES
org.example.Mail  3      executable  policies/mail.yaml
org.example.B     0      blocked     /etc/b.yaml
FILES are relative to /etc/pointsman.

Identity:
  executables  by the kernel
  scripts      by their command line, because fanotify_init: EPERM
  children     followed by the kernel
  cgroups      by the kernel
  users        by the kernel
  sockets      120 marked, 30 without a mark, 1 with a mark of others

First packets judged by the daemon: 12 (9 accepted, 2 refused, 0 dropped, 1 waiting); half within 80 µs, 99 % within 400 µs; those that the kernel decides are not counted
DNS queries that followed their application: 9 (8 answered, 1 failed, 2 false answers dropped); addresses learned 3 times
`,
    );
  });

  it('renderStatus names the files of a lab from its own directory', () => {
    const root = '/run/pointsman-lab/mine/root';
    const apps = [
      { app: 'a', id: 1, rules: 1, files: [`${root}/etc/pointsman/policies/a.yaml`], tier: 'user' as const },
    ];
    const text = renderStatus({ ...status, root, apps }, { colour: false, nowMs });
    expect(text).toContain(`user     policies/a.yaml\nFILES are relative to ${root}/etc/pointsman.\n`);
  });

  it('renderStatus says which profiles hold', () => {
    const profiles = [
      { name: 'home', holds: false },
      { name: 'work', holds: true },
    ];
    expect(renderStatus({ ...status, profiles }, { colour: false, nowMs })).toContain(
      '\n\nProfiles: home does not hold, work holds\n\nAPPLICATION',
    );
  });

  it('renderStatus says why everything is asked about where the kernel tells no programs', () => {
    const refused = { inKernel: false, because: 'bpf: EPERM' };
    const identity = { executables: refused, scripts: refused, children: refused };
    const apps = status.apps.map((app) => ({ ...app, tier: 'slow path' as const }));
    expect(renderStatus({ ...status, identity, apps }, { colour: false, nowMs })).toContain(
      `Identity:
  executables  asked, because bpf: EPERM
  scripts      by their command line, because bpf: EPERM
  children     by living parents, because bpf: EPERM
  cgroups      asked, because some policy names a program
  users        asked, because some policy names a program

First packets`,
    );
    // No policy names a program: cgroups and users are told all the same.
    const byUser = status.apps.map((app) => ({ ...app, tier: 'user' as const }));
    expect(renderStatus({ ...status, identity, apps: byUser }, { colour: false, nowMs })).toContain(
      '  cgroups      by the kernel\n  users        by the kernel\n',
    );
  });

  it('renderStatus says what is wrong and what to do next', () => {
    const text = renderStatus(
      {
        ...status,
        state: 'degraded',
        root: '/srv/x',
        apps: [],
        uplinks: [],
        warnings: [{ code: 'apply-failed', message: 'nft refused', hint: 'see the journal', sinceMs: nowMs - 60_000 }],
        diagnostics: [
          {
            severity: 'error',
            code: 'unknown-key',
            message: 'unknown key',
            file: 'a.yaml',
            line: 3,
            column: 1,
            length: 2,
            source: 'xy: 1',
          },
        ],
        confirmBeforeMs: nowMs + 20_000,
      },
      { colour: false, nowMs },
    );
    expect(text).toContain(
      'degraded on trial, the last good policies are in force; something below needs attention\n' +
        'taken back in 20 s, unless you keep it: sudo pointsman confirm\n',
    );
    expect(text).toContain('warning: nft refused [apply-failed], for 1 min\n      hint: see the journal\n');
    expect(text).toContain('a.yaml:3:1: error: unknown key [unknown-key]\n    3 | xy: 1\n      | ^^\n');
    expect(text).toContain('Next:\n  mend the files above');
  });

  it('renderStatus counts applications that it does not list', () => {
    const apps = Array.from({ length: 100 }, (_, i) => ({
      app: `a${i}`,
      id: i + 1,
      rules: 1,
      files: [],
      tier: 'user' as const,
    }));
    expect(renderStatus({ ...status, apps }, { colour: false, nowMs })).toContain(
      'and 60 more (status --json lists all)',
    );
  });

  it('renderStatus lets no control sequence of a name reach the terminal', () => {
    const apps = [{ app: 'a\u001b[2Jb', id: 1, rules: 1, files: ['/x\r\n'], tier: 'user' as const }];
    expect(renderStatus({ ...status, apps }, { colour: false, nowMs })).not.toMatch(/[^\P{Cc}\n]/u);
  });

  it('renderStatus colours the state only where it may', () => {
    expect(renderStatus(status, { colour: true, nowMs })).toContain('\u001b[32menforcing\u001b[0m');
    expect(renderStatus(status, { colour: false, nowMs })).not.toContain('\u001b');
  });
});
