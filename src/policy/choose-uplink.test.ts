import { describe, expect, it } from 'vitest';
import { chooseUplink, describeProperties } from './choose-uplink.ts';
import type { FamilyHealth, UplinkState } from './facts.ts';
import type { Bound, PropertyConstraint, Quantity, Uplink, UplinkProperties, Via } from './model.ts';
import { parseBound } from './quantity.ts';
import { SHARE_SLOTS } from './share-slot.ts';
import { keptKey } from './via-text.ts';

const at = { file: '/etc/pointsman/policies/a.yaml', line: 4, column: 6 };
const PLAIN: UplinkProperties = { type: 'other', metered: false, roaming: false, trusted: false, encrypted: false };

interface Given extends Partial<UplinkProperties> {
  readonly v4?: FamilyHealth;
  readonly v6?: FamilyHealth;
  readonly priority?: number;
  readonly weight?: number;
}

const NAMES = ['a', 'b', 'c'];
function uplinksOf(given: readonly Given[]): { uplinks: Uplink[]; states: UplinkState[] } {
  const uplinks = given.map(({ v4: _, v6: __, priority = 100, weight = 1, ...properties }, i): Uplink => {
    const name = NAMES[i] ?? '';
    return { name, device: `${name}0`, priority, weight, properties: { ...PLAIN, ...properties }, gateways: {}, at };
  });
  const states = given.map(({ v4, v6 }, i): UplinkState => {
    const name = NAMES[i] ?? '';
    const health = { ...(v4 && { v4 }), ...(v6 && { v6 }) };
    const up = { up: true, v4: true, v6: true, addresses: [], onLink: [], gateways: {} };
    return { name, id: i + 1, device: `${name}0`, deviceIndex: i + 2, ...up, health };
  });
  return { uplinks, states };
}

const via = (words: Partial<Via>): Via => ({
  require: {},
  prefer: {},
  avoid: {},
  prohibit: {},
  else: 'block',
  at,
  ...words,
});

function bound(quantity: Quantity, text: string): Bound {
  const result = parseBound(quantity, text);
  if (!result.ok) throw new RangeError(text);
  return result.value;
}
const rtt = (text: string): PropertyConstraint => ({ rtt: bound('rtt', text) });
const loss = (text: string): PropertyConstraint => ({ loss: bound('loss', text) });
const bandwidth = (text: string): PropertyConstraint => ({ bandwidth: bound('bandwidth', text) });

function choose(words: Partial<Via>, ...given: readonly Given[]) {
  const { uplinks, states } = uplinksOf(given);
  const { way, considered } = chooseUplink(via(words), 4, { uplinks, states });
  const because = Object.fromEntries(considered.map((one) => [one.uplink, one.because]));
  return { takes: way.kind === 'uplink' ? way.name : way.kind, because };
}

const good = (more: Partial<FamilyHealth> = {}): { v4: FamilyHealth } => ({ v4: { state: 'good', ...more } });
const FAILED = { v4: { state: 'failed' } } as const;

describe('chooseUplink()', () => {
  it('chooseUplink() compares what is measured of the family, and where nobody measures what the file states', () => {
    const measured = { rttMs: 30, ...good({ rttMs: 120 }) };
    expect(choose({ require: rtt('<80ms') }, measured, { rttMs: 40 })).toEqual({
      takes: 'b',
      because: { a: 'required: rtt <80ms (it is 120ms)', b: 'permitted' },
    });
    const { uplinks, states } = uplinksOf([measured]);
    expect(chooseUplink(via({ require: rtt('<80ms') }), 6, { uplinks, states }).way).toMatchObject({ name: 'a' });
  });

  it.each([
    ['require', rtt('<80ms'), 'none', 'required: rtt <80ms (not known)'],
    ['prohibit', loss('>5%'), 'a', 'permitted'],
    ['prefer', bandwidth('>=10mbit'), 'a', 'permitted'],
    ['avoid', bandwidth('<10mbit'), 'a', 'permitted'],
    ['require', { validated: true }, 'none', 'required: validated true (not known)'],
    ['require', { validated: false }, 'none', 'required: validated false (not known)'],
    ['prohibit', { validated: false }, 'a', 'permitted'],
  ] as const)(
    'chooseUplink() takes a value that nobody knows neither for met nor for failed: %s %o',
    (word, constraint, takes, because) => {
      expect(choose({ [word]: constraint }, {})).toEqual({ takes, because: { a: because } });
    },
  );

  it('chooseUplink() orders by bounds that are preferred and avoided', () => {
    const slow = { bandwidthBitsPerSecond: 2_000_000, priority: 1, ...good({ lossRatio: 0.01 }) };
    const fast = { bandwidthBitsPerSecond: 50_000_000, ...good({ lossRatio: 0.08 }) };
    expect(choose({ prefer: bandwidth('>=10mbit') }, slow, fast)).toEqual({
      takes: 'b',
      because: { a: 'permitted, but b comes first', b: 'preferred: bandwidth >=10mbit (it is 50mbit)' },
    });
    expect(choose({ avoid: loss('>5%') }, slow, fast)).toMatchObject({ takes: 'a' });
    expect(choose({ prohibit: loss('>5%') }, fast)).toEqual({
      takes: 'none',
      because: { a: 'prohibited: loss >5% (it is 8%)' },
    });
  });

  it('chooseUplink() takes none that a neighbour announced, whatever `else` says, and no slot of others is its', () => {
    const { uplinks, states } = uplinksOf([{}, {}, {}]);
    const announced = uplinks.map((uplink, i) => (i === 1 ? { ...uplink, untaken: true as const } : uplink));
    const ways = { uplinks: announced, states };
    const only = { uplinks: announced.slice(1, 2), states };
    const take = (words: Partial<Via>) => chooseUplink(via(words), 6, only);
    expect(take({ require: { type: ['other'] } })).toMatchObject({ way: { kind: 'none' } });
    expect(take({ require: { type: ['wifi'] }, else: 'any' })).toMatchObject({ way: { kind: 'system' } });
    expect(take({}).considered[0]?.because).toContain('found, not taken');
    const without = { uplinks: announced.filter(({ name }) => name !== 'b'), states };
    const shared = (of: typeof ways) => chooseUplink(via({ share: 'connection' }), 4, of).shared;
    expect(shared(ways)).toEqual(shared(without));
  });

  it('chooseUplink() takes an uplink whose probes fail only where no other will do', () => {
    const wanted = { prefer: { metered: false } };
    expect(choose(wanted, { ...FAILED, priority: 1 }, { metered: true })).toEqual({
      takes: 'b',
      because: { a: 'preferred: metered false; probes fail, but b comes first', b: 'permitted' },
    });
    expect(choose({ require: { metered: false } }, FAILED, { metered: true })).toEqual({
      takes: 'a',
      because: { a: 'probes fail, but no other will do', b: 'required: metered false' },
    });
    expect(choose({ require: { validated: true } }, FAILED, FAILED)).toMatchObject({ takes: 'none' });
    expect(choose({ require: { trusted: true }, else: 'any' }, FAILED, { metered: true })).toMatchObject({
      takes: 'b',
    });
  });

  it('chooseUplink() lets only uplinks that are equally good share, and without a slot takes them all', () => {
    const wanted = { share: 'connection', prefer: { metered: false } } as const;
    expect(choose(wanted, { weight: 2 }, {}, { metered: true })).toEqual({
      takes: 'a',
      because: {
        a: 'preferred: metered false; shares by connection, weight 2 of 3',
        b: 'preferred: metered false; shares by connection, weight 1 of 3',
        c: 'permitted, but a comes first',
      },
    });
    const { uplinks, states } = uplinksOf([{ weight: 2 }, {}, { metered: true }]);
    const taken = (slot?: number) => chooseUplink(via(wanted), 4, { uplinks, states }, slot);
    expect(taken().considered.map((one) => one.taken)).toEqual([true, true, false]);
    const ways = Array.from({ length: SHARE_SLOTS }, (_, slot) => slot)
      .filter((slot) => slot % 97 === 0)
      .map((slot) => taken(slot).way);
    const ofA = ways.filter((way) => way.kind === 'uplink' && way.name === 'a').length;
    expect(ofA / ways.length).toBeCloseTo(2 / 3, 2);
    expect(ways).not.toContainEqual({ kind: 'uplink', name: 'c', id: 3 });
    const last = taken(SHARE_SLOTS - 1).considered;
    expect(last.map((one) => [one.uplink, one.taken, one.because.split(': here ')[1]])).toEqual([
      ['b', true, undefined],
      ['a', false, 'it is the turn of b'],
      ['c', false, undefined],
    ]);
    for (const alone of [{ priority: 5 }, FAILED])
      expect(choose(wanted, {}, alone).because).not.toMatchObject({ a: expect.stringContaining('shares') });
  });

  it('chooseUplink() stays with what a sticky choice came to, and says why', () => {
    const { uplinks, states } = uplinksOf([{ priority: 1 }, { priority: 2 }, { priority: 3 }]);
    const wanted = via({ stickyMs: 600_000 });
    const kept = new Map([[keptKey(wanted, 4), ['b']]]);
    const choice = chooseUplink(wanted, 4, { uplinks, states, kept });
    expect(choice.way).toMatchObject({ name: 'b' });
    expect(choice.considered).toEqual([
      { uplink: 'b', taken: true, because: 'permitted' },
      {
        uplink: 'a',
        taken: false,
        because: 'permitted, but sticky: new connections stay with b until this has come first for 10m',
      },
      { uplink: 'c', taken: false, because: 'permitted, but b comes first' },
    ]);
    expect(chooseUplink(wanted, 6, { uplinks, states, kept }).way).toMatchObject({ name: 'a' });
    expect(chooseUplink(via({}), 4, { uplinks, states, kept }).way).toMatchObject({ name: 'a' });
    const gone = new Map([[keptKey(wanted, 4), ['d']]]);
    expect(chooseUplink(wanted, 4, { uplinks, states, kept: gone }).way).toMatchObject({ name: 'a' });
  });

  it('chooseUplink() has those share that a sticky choice came to', () => {
    const { uplinks, states } = uplinksOf([{}, {}, {}]);
    const wanted = via({ stickyMs: 600_000, share: 'destination' });
    const kept = new Map([[keptKey(wanted, 4), ['b', 'c']]]);
    const { considered, shared = [] } = chooseUplink(wanted, 4, { uplinks, states, kept });
    expect(considered.map(({ uplink, taken }) => [uplink, taken])).toEqual([
      ['b', true],
      ['c', true],
      ['a', false],
    ]);
    expect(new Set(shared.map(({ id }) => id))).toEqual(new Set([2, 3]));
  });

  it('chooseUplink() counts as validated what probes reach beyond the gateway, and no captive portal', () => {
    const require = { validated: true };
    const validated = good({ validated: true });
    expect(choose({ require }, validated)).toMatchObject({ takes: 'a' });
    expect(choose({ require }, good())).toEqual({
      takes: 'none',
      because: { a: 'required: validated true (not known)' },
    });
    expect(choose({ require }, good({ validated: true, captivePortal: true }))).toMatchObject({ takes: 'none' });
    expect(choose({ prefer: require }, {}, validated)).toMatchObject({ takes: 'b' });
    expect(choose({ prohibit: { validated: false } }, good({ captivePortal: true }))).toMatchObject({ takes: 'none' });
  });
});

describe('describeProperties()', () => {
  it('describeProperties() names what is stated in numbers', () => {
    const numbers = { bandwidthBitsPerSecond: 1_500_000, rttMs: 600, lossRatio: 0.02 };
    expect(describeProperties({ ...PLAIN, type: 'satellite', metered: true, ...numbers })).toBe(
      'satellite, metered, 1.5mbit, rtt 600ms, loss 2%',
    );
  });
});
