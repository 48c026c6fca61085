import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../net/address.ts';
import type { EffectivePolicy, PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import type { Uplink } from '../policy/model.ts';
import { changedFacts, changedPolicies, isNothing, joinChanges, NOTHING_CHANGED } from './changed-policies.ts';

const at = { file: '/etc/pointsman/policies/a.yaml', line: 1, column: 1 };

const policy = (app: string, path: string): EffectivePolicy => ({
  app,
  match: [{ kind: 'exec', value: path, at }],
  rules: [],
  files: [],
});

const systemDefault: PolicySet['systemDefault'] = {
  otherwise: { do: 'allow', at },
  unknown: { do: 'allow', at },
  whenAway: 'closed',
};

const setOf = (...apps: readonly EffectivePolicy[]): PolicySet => ({ apps, systemDefault, uplinks: [] });

describe('changedPolicies', () => {
  it('changedPolicies tells changed rules from changed programs', () => {
    const [mail, chat] = [policy('mail', '/bin/mail'), policy('chat', '/bin/chat')];
    const sameProgram = { ...mail, rules: [] };
    expect(changedPolicies(setOf(chat, mail), setOf(chat, sameProgram))).toMatchObject({
      apps: new Set(['mail']),
      rematched: new Set(),
    });
    const otherProgram = policy('mail', '/bin/other');
    expect(changedPolicies(setOf(mail), setOf(otherProgram)).rematched).toEqual(new Set(['mail']));
    expect(changedPolicies(setOf(mail), setOf(chat, mail)).rematched).toEqual(new Set(['chat']));
    expect(changedPolicies(setOf(chat, mail), setOf(mail)).rematched).toEqual(new Set(['chat']));
  });

  it('changedPolicies counts everyone at the start and where the default changed', () => {
    const before = setOf(policy('mail', '/bin/mail'));
    expect(changedPolicies(undefined, before)).toEqual({ ...NOTHING_CHANGED, apps: 'everyone', isStart: true });
    const after = { ...before, systemDefault: { ...systemDefault } };
    expect(changedPolicies(before, after)).toEqual({ ...NOTHING_CHANGED, apps: 'everyone', isStart: false });
    expect(isNothing(changedPolicies(before, before))).toBe(true);
  });
});

describe('changedPolicies for uplinks', () => {
  const file: Uplink = {
    ...{ name: 'home', device: 'wlan0', priority: 100, gateways: {}, at },
    properties: { type: 'wifi', metered: false, roaming: false, trusted: false, encrypted: false },
  };
  const found: Uplink = { ...file, name: 'wg0', device: 'wg0', discovered: true };
  const withUplinks = (...uplinks: readonly Uplink[]): PolicySet => ({ ...setOf(), uplinks });
  const apps = (before: PolicySet, after: PolicySet) => changedPolicies(before, after).apps;

  it('changedPolicies takes an uplink that is found or gone for news of the network', () => {
    expect(apps(withUplinks(file), withUplinks(file, found))).toEqual(new Set());
    expect(apps(withUplinks(file, found), withUplinks(file))).toEqual(new Set());
  });

  it.each([
    ['a file’s uplink that is new', withUplinks(found), withUplinks(file, found)],
    ['a file’s uplink that is gone', withUplinks(file, found), withUplinks(found)],
    ['another property of a file’s uplink', withUplinks(file), withUplinks({ ...file })],
    ['another property of one that was found', withUplinks(found), withUplinks({ ...found })],
    ['a file that now names what was found', withUplinks(found), withUplinks({ ...file, name: 'wg0' })],
  ])('changedPolicies counts everyone for %s', (_, before, after) => {
    expect(apps(before, after)).toBe('everyone');
  });
});

describe('changedFacts', () => {
  it('changedFacts names addresses that no uplink has any more, for something new or for what began with them', () => {
    const parsed = (texts: readonly string[]): Address[] => texts.flatMap((text) => parseAddress(text) ?? []);
    const wifi = { name: 'wifi', id: 1, device: 'wlan0', up: true, v4: true, v6: true, onLink: [], gateways: {} };
    const facts = (addresses: readonly string[], deprecated: readonly string[]): Pick<Facts, 'uplinks'> => ({
      uplinks: [{ ...wifi, addresses: parsed(addresses), deprecated: parsed(deprecated) }],
    });
    const before = facts(['192.0.2.1', '2001:db8::1'], ['2001:db8::2', '2001:db8::3']);
    const { lostAddresses, facts: haveChanged } = changedFacts(
      before,
      facts(['192.0.2.9'], ['2001:db8::1', '2001:db8::3']),
    );
    expect([...lostAddresses]).toEqual(['192.0.2.1', '2001:db8::2']);
    expect(haveChanged).toBe(true);
  });
});

describe('joinChanges', () => {
  it('joinChanges keeps what either says', () => {
    const lost = { ...NOTHING_CHANGED, facts: true, lostAddresses: new Set(['192.0.2.1']) };
    const one = { ...lost, apps: new Set(['a']), rematched: new Set(['a']) };
    const start = {
      ...NOTHING_CHANGED,
      apps: 'everyone' as const,
      isStart: true,
      lostAddresses: new Set(['192.0.2.2']),
    };
    expect(joinChanges(one, start)).toEqual({
      apps: 'everyone',
      rematched: new Set(['a']),
      isStart: true,
      facts: true,
      lostAddresses: new Set(['192.0.2.1', '192.0.2.2']),
    });
    expect(joinChanges(NOTHING_CHANGED, one)).toEqual(one);
  });
});
