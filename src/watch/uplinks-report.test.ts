import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Facts, UplinkState } from '../policy/facts.ts';
import { propertiesOf } from '../policy/join-uplinks.ts';
import { indexApps } from '../policy/match-app.ts';
import type { PropertyConstraint, Uplink, Via } from '../policy/model.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { routeReport } from './route-report.ts';
import { MAX_APPS_NAMED, uplinksReport } from './uplinks-report.ts';

const at = (line: number) => ({ file: '/p/a.yaml', line, column: 1 });
const address = parseAddress('192.0.2.2');
if (address === undefined) throw new Error('address');

const via = (require: PropertyConstraint): Via => ({
  require,
  prefer: {},
  avoid: {},
  prohibit: {},
  else: 'block',
  at: at(9),
});
const uplink = (name: string, type: 'wifi' | 'cellular'): Uplink => ({
  name,
  device: `${name}0`,
  priority: 100,
  ...propertiesOf([{ by: 'kernel', told: { type, metered: true }, guesses: ['metered'] }]),
  gateways: {},
  at: at(1),
});
const state = (name: string, id: number, part: Partial<UplinkState> = {}): UplinkState => ({
  name,
  id,
  device: `${name}0`,
  deviceIndex: id,
  up: true,
  v4: true,
  v6: true,
  addresses: [address],
  onLink: [],
  gateways: { v4: address },
  ...part,
});
const app = (name: string, require?: PropertyConstraint, ofRule?: PropertyConstraint): EffectivePolicy => ({
  app: name,
  match: [],
  files: [],
  rules:
    ofRule === undefined
      ? []
      : [
          {
            to: [{ text: '*', target: { kind: 'any' }, at: at(5) }],
            do: 'allow',
            via: via(ofRule),
            at: at(5),
            layer: 'administrator',
          },
        ],
  otherwise: { value: { do: ofRule === undefined ? 'allow' : 'deny', at: at(7) }, layer: 'administrator' },
  ...(require !== undefined && { via: { value: via(require), layer: 'administrator' as const } }),
});

function sourcesOf(apps: readonly EffectivePolicy[], states: readonly UplinkState[]) {
  const policySet: PolicySet = {
    apps,
    systemDefault: builtinSystemDefault,
    uplinks: [uplink('wifi', 'wifi'), uplink('cell', 'cellular')],
  };
  const facts: Facts = {
    ...{ uplinks: states, onLink: [], resolvers: [] },
    ...{ names: new Map(), users: new Map(), groups: new Map(), packages: new Map(), containers: new Map() },
  };
  const context = { policySet, facts, index: indexApps(policySet), nowMs: 0, unknownNames: 'queue' as const };
  const traffic = { traffic: { connections: 2 }, byApp: [{ app: 'a', connections: 2 }] };
  const live = { byUplink: new Map([[1, traffic]]), byOther: new Map([['came in', traffic]]) };
  return { context, live, isCounted: false, managed: () => undefined };
}

const BOTH = [state('wifi', 1), state('cell', 2)];

describe('uplinksReport', () => {
  it('uplinksReport says what each uplink is, who told it, and who uses it', () => {
    const managed = () => ({ connection: 'Home', isSetUp: true, technologies: ['LTE'], dns: [address] });
    const report = uplinksReport({ ...sourcesOf([], BOTH), managed });
    expect(report.uplinks[0]).toMatchObject({
      name: 'wifi',
      state: 'up',
      discovered: false,
      addresses: ['192.0.2.2'],
      gateways: ['192.0.2.2'],
      dns: ['192.0.2.2'],
      connection: 'Home',
      traffic: { connections: 2 },
      usedBy: [{ app: 'a', connections: 2 }],
    });
    expect(report.uplinks[0]?.properties.slice(0, 3)).toEqual([
      { name: 'type', value: 'wifi', source: 'kernel' },
      { name: 'metered', value: 'yes', source: 'kernel, guess' },
      { name: 'roaming', value: 'no', source: 'default' },
    ]);
    expect(report.uplinks[1]).toMatchObject({ traffic: { connections: 0 }, usedBy: [] });
    expect(report.others).toEqual([{ way: 'came in', connections: 2 }]);
  });

  it('uplinksReport says what was carried since the daemon started, most bytes first', () => {
    const volume = (bytes: number) => ({ sent: { packets: 1, bytes }, received: { packets: 1, bytes } });
    const of = { begun: 1, ended: 1, open: 0 };
    const accounts = [
      { ...of, app: 'a', way: 'uplink', uplink: 'wifi', ...volume(5) },
      { ...of, app: 'b', way: 'uplink', uplink: 'wifi', ...volume(6) },
      { ...of, app: 'b', way: 'uplink', uplink: 'usb', ...volume(7) },
      { ...of, app: 'b', way: 'inbound' },
    ] as const;
    const totals = { sinceMs: 1, accounts, overruns: 2, isCounted: true, isTold: true };
    const { uplinks, totals: report } = uplinksReport({ ...sourcesOf([], BOTH), totals });
    expect(uplinks.map((each) => each.totals?.map(({ app }) => app))).toEqual([['b', 'a'], []]);
    expect(report).toEqual({
      ...{ sinceMs: 1, overruns: 2, isTold: true },
      others: [
        { ...of, app: 'b', way: 'uplink usb, which has gone', ...volume(7) },
        { ...of, app: 'b', way: 'came in' },
      ],
    });
  });

  it('uplinksReport lists what the daemon itself has sent behind what applications have', () => {
    const volume = (bytes: number) => ({ sent: { packets: 1, bytes }, received: { packets: 1, bytes } });
    const of = { way: 'uplink', uplink: 'wifi', begun: 9, ended: 9, open: 0 } as const;
    const accounts = [
      { ...of, app: 'pointsman', ...volume(900) },
      { ...of, app: 'a', ...volume(5) },
      { ...of, app: 'pointsman', uplink: 'usb', ...volume(900) },
      { ...of, app: 'b', uplink: 'usb', ...volume(6) },
    ];
    const totals = { sinceMs: 1, accounts, overruns: 0, isCounted: true, isTold: true };
    const { uplinks, totals: report } = uplinksReport({ ...sourcesOf([], BOTH), totals });
    expect(uplinks[0]?.totals?.map(({ app }) => app)).toEqual(['a', 'pointsman']);
    expect(report?.others.map(({ app }) => app)).toEqual(['b', 'pointsman']);
  });

  it('uplinksReport says who takes an uplink, and why others do not', () => {
    const apps = [
      app('a', { type: ['wifi'] }),
      app('b', { type: ['cellular'] }),
      app('c', undefined, { name: ['cell'] }),
      app('d'),
    ];
    const [wifi, cell] = uplinksReport(sourcesOf(apps, BOTH)).uplinks;
    expect(wifi?.takenBy).toEqual([{ because: 'permitted', apps: ['a'], more: 0 }]);
    expect(wifi?.passedOver).toEqual([
      { because: 'required: type cellular', apps: ['b'], more: 0 },
      { because: 'required: name cell', apps: ['c (line 5)'], more: 0 },
    ]);
    expect(cell?.takenBy).toEqual([{ because: 'permitted', apps: ['b', 'c (line 5)'], more: 0 }]);
  });

  it('uplinksReport tells the families apart where they come to another answer', () => {
    const [wifi] = uplinksReport(sourcesOf([app('a', { type: ['wifi'] })], [state('wifi', 1, { v6: false })])).uplinks;
    expect(wifi?.takenBy).toEqual([{ because: 'permitted (IPv4)', apps: ['a'], more: 0 }]);
    expect(wifi?.passedOver).toEqual([{ because: 'it has no IPv6 way out (IPv6)', apps: ['a'], more: 0 }]);
  });

  it('uplinksReport counts those that it does not name', () => {
    const apps = Array.from({ length: MAX_APPS_NAMED + 5 }, (_, i) => app(`a${i}`, { type: ['wifi'] }));
    const [wifi] = uplinksReport(sourcesOf(apps, BOTH)).uplinks;
    expect(wifi?.takenBy).toMatchObject([{ more: 5 }]);
    expect(wifi?.takenBy[0]?.apps).toHaveLength(MAX_APPS_NAMED);
  });

  it('uplinksReport knows an uplink whose device is missing, and says why there are no connections', () => {
    const gone = {
      byName: 'wifi',
      device: 'wifi0',
      up: false,
      v4: false,
      v6: false,
      addresses: [],
      onLink: [],
      gateways: {},
    };
    const sources = { ...sourcesOf([], [{ ...gone, name: 'wifi', id: 1 }]), live: { unknown: 'only root may' } };
    const report = uplinksReport(sources);
    expect(report.uplinks.map((each) => each.state)).toEqual(['no device', 'no device']);
    expect(report).toMatchObject({ others: [], connectionsUnknown: 'only root may' });
  });
});

describe('routeReport', () => {
  it('routeReport goes through the rules in their order, and names the way of each', () => {
    const policy = app('a', { type: ['wifi'] }, { name: ['cell'] });
    const sources = sourcesOf([policy], [state('wifi', 1), state('cell', 2, { v6: false })]);
    const report = routeReport(sources, { kind: 'app', policy });
    expect(report).toMatchObject({
      app: 'a',
      rules: [
        {
          rule: 'rule 1: allow *',
          line: 5,
          via: 'via require name: cell; else block',
          v4: { way: 'uplink cell' },
          v6: { way: 'refused: no uplink will do' },
        },
        { rule: 'otherwise: deny', line: 7, v4: { way: 'refused', uplinks: [] } },
      ],
      traffic: [
        { way: 'uplink wifi', connections: 2 },
        { way: 'came in', connections: 2 },
      ],
    });
    expect(report.rules[0]?.v4.uplinks).toEqual([
      { uplink: 'cell', taken: true, because: 'permitted' },
      { uplink: 'wifi', taken: false, because: 'required: name cell' },
    ]);
  });

  it.each([
    ['', 'directly connected'],
    ['block', 'refused'],
    ['via', 'as all else'],
  ] as const)(
    'routeReport says what becomes of local destinations under local: "%s", as decide does',
    (local, said) => {
      const policy = app('a', { type: ['wifi'] });
      const via = policy.via?.value;
      if (via === undefined) throw new Error('there is no via');
      const withLocal = {
        ...policy,
        via: { ...policy.via, value: { ...via, ...(local !== '' && { local }) } },
      } as typeof policy;
      const report = routeReport(sourcesOf([withLocal], [state('wifi', 1)]), { kind: 'app', policy: withLocal });
      expect(report.rules.filter((rule) => rule.via !== undefined).map((rule) => rule.local)).toEqual([said]);
      expect(report.rules.filter((rule) => rule.via === undefined && rule.local !== undefined)).toEqual([]);
    },
  );

  it('routeReport names the files of which the last good version is meant, of those that it cites', () => {
    const policy = app('a', { type: ['wifi'] });
    const cited = routeReport(sourcesOf([policy], BOTH), { kind: 'app', policy }).rules[0]?.file ?? '';
    const sources = { ...sourcesOf([policy], BOTH), lastGood: ['/etc/pointsman/policies/other.yaml', cited] };
    expect(routeReport(sources, { kind: 'app', policy })).toMatchObject({ lastGood: [cited] });
    expect(routeReport(sourcesOf([policy], BOTH), { kind: 'app', policy })).not.toHaveProperty('lastGood');
  });

  it('routeReport gives who has no policy the system default', () => {
    const sources = sourcesOf([], BOTH);
    const subject = { kind: 'owner', owner: { kind: 'process', pid: 7, uid: 0 }, called: 'process 7' } as const;
    expect(routeReport(sources, subject)).toMatchObject({
      identity: 'process 7: no policy names it, so the system default holds',
      rules: [{ rule: 'system default: allow', v4: { way: "the system's route" } }],
      traffic: [],
    });
  });

  it('routeReport says that a blocked application has no way', () => {
    const policy = { ...app('a'), blocked: { because: 'its file is broken' } };
    expect(routeReport(sourcesOf([policy], BOTH), { kind: 'app', policy })).toMatchObject({
      rules: [],
      blocked: 'its file is broken',
    });
  });

  it('uplinksReport shows the network of an uplink as far as it is known', () => {
    const network = { ssid: 'Home' };
    const report = uplinksReport({
      ...sourcesOf([], BOTH),
      attach: (uplinks) => uplinks.map((uplink) => (uplink.name === 'wifi' ? { ...uplink, network } : uplink)),
    });
    expect(report.uplinks.map((each) => each.network)).toEqual([network, undefined]);
  });
});
