import { describe, expect, it } from 'vitest';
import { parseAddress, parsePrefix } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_TCP } from '../net/protocol.ts';
import type { DecideContext } from './decide.ts';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import { explain, type Subject } from './explain.ts';
import type { NameState, UplinkState } from './facts.ts';
import { indexApps } from './match-app.ts';
import type { Destination, PropertyConstraint, SourceLocation, Uplink, Verb, Via } from './model.ts';
import { selectProfiles } from './select-profiles.ts';

const NOW_MS = 1_800_000_000_000;
const at = (line: number, file = '/etc/pointsman/policies/mail.yaml'): SourceLocation => ({ file, line, column: 5 });

const address = (text: string) => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

const flow = (to: string, port = 993): Flow => ({
  protocol: IPPROTO_TCP,
  source: address(to.includes(':') ? '::' : '0.0.0.0'),
  destination: address(to),
  destinationPort: port,
  loopback: to.startsWith('127.'),
});

const name = (text: string, line: number): Destination => ({
  text: `${text}:993`,
  target: { kind: 'name', name: text },
  ports: [{ first: 993, last: 993 }],
  at: at(line),
});

const lan = (line: number): Destination => {
  const prefix = parsePrefix('192.168.0.0/16');
  if (prefix === undefined) throw new Error('prefix');
  return { text: '192.168.0.0/16', target: { kind: 'prefix', prefix }, at: at(line) };
};

const via = (require: PropertyConstraint, otherwise: Via['else'] = 'block'): Via => ({
  require,
  prefer: {},
  avoid: {},
  prohibit: {},
  else: otherwise,
  at: at(9),
});

const uplink = (uplinkName: string, metered: boolean): Uplink => ({
  name: uplinkName,
  device: `${uplinkName}0`,
  priority: metered ? 200 : 100,
  properties: { type: metered ? 'cellular' : 'wifi', metered, roaming: false, trusted: false, encrypted: false },
  gateways: {},
  at: at(1, `/etc/pointsman/uplinks/${uplinkName}.yaml`),
});

const state = (uplinkName: string, id: number): UplinkState => ({
  name: uplinkName,
  id,
  device: `${uplinkName}0`,
  deviceIndex: id + 1,
  up: true,
  v4: true,
  v6: true,
  addresses: [],
  onLink: [],
  gateways: {},
});

function rule(verb: Verb, to: Destination, line: number, way?: Via): EffectivePolicy['rules'][number] {
  return { to: [to], do: verb, at: at(line), layer: 'administrator', ...(way === undefined ? {} : { via: way }) };
}

const onLink = (line: number): Destination => ({ text: 'on-link', target: { kind: 'on-link' }, at: at(line) });
const lanRule = () => rule('drop', lan(6), 6);

const mail: EffectivePolicy = {
  app: 'org.example.Mail',
  match: [{ kind: 'exec', value: '/usr/bin/mail', at: at(3) }],
  rules: [
    rule('deny', lan(5), 5),
    rule('allow', name('imap.example.org', 7), 7, via({ metered: false })),
    rule('drop', name('tracker.example.org', 11), 11),
  ],
  otherwise: { value: { do: 'deny', at: at(12) }, layer: 'administrator' },
  files: [{ file: '/etc/pointsman/policies/mail.yaml', layer: 'administrator' }],
};

function context(
  names: ReadonlyMap<string, NameState>,
  uplinks = [state('wifi', 1), state('cellular', 2)],
): DecideContext {
  const policySet: PolicySet = {
    apps: [mail],
    systemDefault: {
      otherwise: { do: 'allow', at: at(1, 'built-in') },
      unknown: { do: 'allow', at: at(1, 'built-in') },
      whenAway: 'closed',
    },
    uplinks: [uplink('wifi', false), uplink('cellular', true)],
  };
  return {
    policySet,
    index: indexApps(policySet),
    facts: {
      uplinks,
      onLink: [],
      resolvers: [],
      names,
      users: new Map(),
      groups: new Map(),
      packages: new Map(),
      containers: new Map(),
    },
    nowMs: NOW_MS,
    unknownNames: 'queue',
  };
}

const known = (...texts: string[]): NameState => ({
  known: true,
  addresses: texts.map((text) => ({ address: address(text), expiresAtMs: NOW_MS + 60_000 })),
});

const path = 'first packet goes to the daemon';
const explainMail = (facts: DecideContext, ...flows: Flow[]) =>
  explain(facts, { subject: { kind: 'app', policy: mail }, destination: 'there', flows, path });

describe('explain', () => {
  it('explain names the rule, its file and line, the uplinks considered and every rule on the way', () => {
    const { flows, app, layers } = explainMail(
      context(new Map([['imap.example.org', known('203.0.113.20')]])),
      flow('203.0.113.20'),
    );
    expect({ app, layers }).toEqual({
      app: 'org.example.Mail',
      layers: [{ layer: 'administrator', file: '/etc/pointsman/policies/mail.yaml' }],
    });
    expect(flows[0]).toMatchObject({
      verdict: 'accept',
      way: 'uplink wifi',
      file: '/etc/pointsman/policies/mail.yaml',
      line: 7,
      uplinks: [
        { uplink: 'wifi', taken: true },
        { uplink: 'cellular', taken: false, because: 'required: metered false' },
      ],
    });
    expect(flows[0]?.rules.map(({ outcome }) => outcome)).toEqual(['did not match', 'matched', 'not reached']);
    expect(flows[0]?.rules[1]?.text).toBe('allow imap.example.org:993 via require metered: false; else block');
  });

  it('explain names the word on-link where it decides about an address that is connected', () => {
    const guest: EffectivePolicy = { ...mail, rules: [rule('deny', onLink(5), 5)] };
    const { facts, ...rest } = context(new Map());
    const connected = parsePrefix('2001:db8:7::/64') ?? expect.fail();
    const ask = (to: string) =>
      explain(
        { ...rest, facts: { ...facts, onLink: [connected] } },
        { subject: { kind: 'app', policy: guest }, destination: to, flows: [flow(to)], path },
      ).flows[0];
    expect(ask('2001:db8:7::9')).toMatchObject({
      verdict: 'reject',
      cause: 'denied',
      reason: 'rule 1 (administrator): on-link, /etc/pointsman/policies/mail.yaml:5',
    });
    expect(ask('2001:db8:8::9')?.rules.map(({ outcome }) => outcome)).toEqual(['did not match']);
  });

  it('explain names local: block and its line, and what goes by the uplink with local: via', () => {
    const { facts, ...rest } = context(new Map());
    const connected = parsePrefix('192.168.7.0/24') ?? expect.fail();
    const ask = (local?: Via['local']) => {
      const way: Via = { ...via({ metered: false }), ...(local !== undefined && { local }) };
      const policy: EffectivePolicy = { ...mail, rules: [rule('allow', lan(5), 5, way)] };
      const flows = [flow('192.168.7.9')];
      const asked = { subject: { kind: 'app', policy }, destination: 'there', flows, path } as const;
      return explain({ ...rest, facts: { ...facts, onLink: [connected] } }, asked).flows[0];
    };
    expect(ask('block')).toMatchObject({
      verdict: 'reject',
      cause: 'local-blocked',
      reason:
        'rule 1 (administrator): 192.168.0.0/16, and via at line 9 blocks what is local, /etc/pointsman/policies/mail.yaml:5',
    });
    expect(ask('block')?.rules[0]?.text).toContain('local block');
    expect(ask('via')).toMatchObject({ verdict: 'accept', way: 'uplink wifi' });
    expect(ask()?.way).not.toBe('uplink wifi');
  });

  it('explain says which name is not known and stops there', () => {
    const { flows } = explainMail(context(new Map()), flow('203.0.113.99'));
    expect(flows[0]).toMatchObject({ verdict: 'queue', line: 7 });
    expect(flows[0]?.rules.map(({ outcome }) => outcome)).toEqual(['did not match', 'name not known', 'not reached']);
  });

  it('explain says that a connection waits for an uplink, and by which rule it is allowed', () => {
    const waiting: EffectivePolicy = { ...mail, rules: [rule('allow', lan(5), 5, via({ trusted: true }, 'wait'))] };
    const subject: Subject = { kind: 'app', policy: waiting };
    const ask = (facts: DecideContext) =>
      explain(facts, { subject, destination: 'there', flows: [flow('192.168.7.7')], path }).flows[0];
    const held = ask({ ...context(new Map()), missingUplink: 'queue' });
    expect(held).toMatchObject({ verdict: 'queue', line: 9 });
    expect(held?.reason).toBe(
      'rule 1 (administrator): 192.168.0.0/16, and it waits for an uplink that meets via, /etc/pointsman/policies/mail.yaml:9',
    );
    expect(held?.rules.map(({ outcome }) => outcome)).toEqual(['matched']);
    expect(held?.uplinks.map(({ because }) => because)).toEqual(['required: trusted true', 'required: trusted true']);
    // Nobody waits: as `block`, and so where whoever waits could pass unjudged.
    expect(ask(context(new Map()))).toMatchObject({ verdict: 'reject', cause: 'no-uplink' });
    const { policySet, ...rest } = context(new Map());
    const systemDefault = { ...policySet.systemDefault, whenAway: 'open' } as const;
    expect(ask({ ...rest, policySet: { ...policySet, systemDefault }, missingUplink: 'queue' })).toMatchObject({
      verdict: 'reject',
      cause: 'no-uplink',
    });
  });

  it('explain names every uplink that a connection may take where they share', () => {
    const share: Via = { ...via({}), share: 'connection' };
    const sharing: EffectivePolicy = { ...mail, rules: [rule('allow', lan(5), 5, share)] };
    const { policySet, ...rest } = context(new Map());
    const uplinks = policySet.uplinks.map((one) => ({ ...one, priority: 100 }));
    const facts = { ...rest, policySet: { ...policySet, uplinks } };
    const ask = (asked: Flow) =>
      explain(facts, { subject: { kind: 'app', policy: sharing }, destination: 'there', flows: [asked], path })
        .flows[0];
    expect(ask(flow('192.168.7.7'))).toMatchObject({
      way: 'uplink cellular or wifi',
      uplinks: [
        { uplink: 'cellular', taken: true, because: 'permitted; shares by connection, weight 1 of 2' },
        { uplink: 'wifi', taken: true },
      ],
    });
    const real = ask({ ...flow('192.168.7.7'), source: address('192.168.7.2'), sourcePort: 50_000 });
    expect(real?.uplinks.filter(({ taken }) => taken).map(({ uplink: one }) => `uplink ${one}`)).toEqual([real?.way]);
  });

  it('explain shows rules that wait for a profile in their place', () => {
    const { policySet, ...rest } = context(new Map());
    const [first, ...others] = mail.rules;
    if (first === undefined) throw new Error('the policy has no rules');
    const timed = { ...mail, rules: [{ ...first, during: ['work', 'home'] }, lanRule(), ...others] };
    const selected = selectProfiles({ ...policySet, apps: [timed] }, []).policySet;
    const [policy] = selected.apps;
    if (policy === undefined) throw new Error('the policy is gone');
    const input = {
      subject: { kind: 'app', policy } as const,
      destination: 'there',
      flows: [flow('192.168.7.7')],
      path,
    };
    const [explained] = explain({ ...rest, policySet: selected }, input).flows;
    expect(explained?.reason).toBe('rule 2 (administrator): 192.168.0.0/16, /etc/pointsman/policies/mail.yaml:6');
    expect(explained?.rules.slice(0, 2)).toMatchObject([
      { index: 0, text: 'deny 192.168.0.0/16 during work or home', outcome: 'not in force' },
      { index: 1, outcome: 'matched' },
    ]);
  });

  it('explain reports the cause when no uplink meets the constraint', () => {
    const facts = context(new Map([['imap.example.org', known('203.0.113.20')]]), [state('cellular', 2)]);
    const { flows } = explainMail(facts, flow('203.0.113.20'));
    expect(flows[0]).toMatchObject({ verdict: 'reject', cause: 'no-uplink' });
    expect(flows[0]?.reason).toBe(
      'rule 2 (administrator): imap.example.org:993, no uplink meets via at line 9, /etc/pointsman/policies/mail.yaml:7',
    );
  });

  it('explain falls through to otherwise with every rule tried', () => {
    const names = new Map([
      ['imap.example.org', known('203.0.113.20')],
      ['tracker.example.org', known('203.0.113.40')],
    ]);
    const { flows } = explainMail(context(names), flow('203.0.113.99'));
    expect(flows[0]).toMatchObject({
      verdict: 'reject',
      cause: 'denied',
      line: 12,
      reason: 'otherwise (administrator), /etc/pointsman/policies/mail.yaml:12',
    });
    expect(new Set(flows[0]?.rules.map(({ outcome }) => outcome))).toEqual(new Set(['did not match']));
  });

  it('explain says that the system default holds for a program that no policy names', () => {
    const owner = { kind: 'process', pid: 7, uid: 0, executable: '/usr/bin/other' } as const;
    const explanation = explain(context(new Map()), {
      subject: { kind: 'owner', owner, called: '/usr/bin/other' },
      destination: '203.0.113.9',
      flows: [flow('203.0.113.9')],
      path,
    });
    expect(explanation.app).toBeUndefined();
    expect(explanation.identity).toContain('no policy names it');
    expect(explanation.flows[0]).toMatchObject({
      verdict: 'accept',
      way: "the system's route",
      reason: 'system default, built-in',
    });
  });

  it('explain leaves every rule unasked for loopback', () => {
    const { flows } = explainMail(context(new Map()), flow('127.0.0.1'));
    expect(flows[0]).toMatchObject({ verdict: 'accept', way: 'directly connected' });
    expect(new Set(flows[0]?.rules.map(({ outcome }) => outcome))).toEqual(new Set(['not reached']));
  });

  it('explain shows the entries of accept in place of rules for a connection that comes in', () => {
    const entry = { ...lan(5), ports: [{ first: 993, last: 993 }] };
    const policy: EffectivePolicy = { ...mail, accept: { layer: 'locks', value: { from: [entry], at: at(4) } } };
    const facts = context(new Map());
    const outcome = (peer: string, systemDefault = facts.policySet.systemDefault, app = policy) => {
      const flows: Flow[] = [{ ...flow('192.168.1.2'), source: address(peer), inbound: true }];
      const policySet = { ...facts.policySet, systemDefault };
      const input = {
        subject: { kind: 'app', policy: app },
        source: peer,
        destination: 'port 993/tcp',
        flows,
        path,
      } as const;
      return explain({ ...facts, policySet }, input).flows[0];
    };
    const shown = { layer: 'locks', line: 5, text: '192.168.0.0/16' };
    expect(outcome('192.168.7.7')).toMatchObject({
      address: '192.168.7.7',
      verdict: 'accept',
      reason: 'accept (lock): 192.168.0.0/16, /etc/pointsman/policies/mail.yaml:5',
      line: 5,
      rules: [],
      accept: [{ ...shown, outcome: 'matched' }],
    });
    expect(outcome('203.0.113.7')).toMatchObject({
      verdict: 'reject',
      line: 4,
      accept: [{ ...shown, outcome: 'did not match' }],
    });
    // The system default's holds where the application states none.
    const stating = {
      ...facts.policySet.systemDefault,
      accept: { from: [], at: at(8, '/etc/pointsman/default.yaml') },
    };
    expect(outcome('203.0.113.7', stating, mail)).toMatchObject({
      verdict: 'reject',
      reason: 'accept (system default) has no entry for this peer and port, /etc/pointsman/default.yaml:8',
      accept: [],
    });
    const blocked = { ...policy, blocked: { because: 'its file is broken' } };
    expect(outcome('192.168.7.7', undefined, blocked)).toMatchObject({
      verdict: 'reject',
      accept: [{ ...shown, outcome: 'not reached' }],
    });
  });

  it('explain says by which package or by which parent a program is the application', () => {
    const curl = { kind: 'exec', value: '/usr/bin/curl', at: at(3), fromPackage: 'curl' } as const;
    const policy: EffectivePolicy = {
      ...mail,
      match: [{ kind: 'package', value: 'curl', at: at(3) }, curl],
      children: { layer: 'package', value: { are: 'same', at: at(4) } },
    };
    const facts = context(new Map());
    const index = indexApps({ ...facts.policySet, apps: [policy] });
    const identity = (subject: Subject) =>
      explain({ ...facts, index }, { subject, destination: 'there', flows: [], path }).identity;
    const owner = { kind: 'process', pid: 7, uid: 0 } as const;
    expect(identity({ kind: 'owner', owner: { ...owner, executable: '/usr/bin/curl' }, called: 'curl' })).toBe(
      'curl: matched by exec /usr/bin/curl by package curl, /etc/pointsman/policies/mail.yaml:3',
    );
    expect(identity({ kind: 'owner', owner: { ...owner, childOf: mail.app }, called: 'sh' })).toBe(
      'sh: matched by parent org.example.Mail (children: same), /etc/pointsman/policies/mail.yaml:4',
    );
    expect(identity({ kind: 'app', policy })).toBe('matched by package curl');
  });
});
