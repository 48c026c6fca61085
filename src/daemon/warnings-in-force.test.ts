import { describe, expect, it } from 'vitest';
import type { Address } from '../net/address.ts';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import type { Verb } from '../policy/model.ts';
import type { InForce } from './in-force.ts';
import { warningsInForce } from './warnings-in-force.ts';

const NOW_MS = 1000;
const at = { file: 'a.yaml', line: 1, column: 1 };
const rule = (name: string, verb: Verb) => ({
  to: [{ text: name, target: { kind: 'name' as const, name }, at }],
  do: verb,
  at,
  layer: 'administrator' as const,
});

interface Parts {
  readonly apps?: readonly EffectivePolicy[];
  readonly without?: readonly string[];
  readonly missing?: readonly string[];
  readonly resolvers?: readonly Address[];
}
const ADDRESS: Address = { family: 4, value: 0xcb007101n };

function inForce({ apps = [], without = [], missing = [], resolvers = [] }: Parts): InForce {
  const state = { known: true, addresses: [{ address: ADDRESS, expiresAtMs: NOW_MS + 1 }] };
  return {
    policySet: { apps, uplinks: [] },
    snapshot: {
      facts: { resolvers, onLink: [], names: new Map(['a.example', 'b.example'].map((name) => [name, state])) },
    },
    ids: { without: { apps: without, uplinks: [] } },
    machine: { facts: { uplinks: missing.map((name) => ({ name, device: `${name}0` })) } },
  } as unknown as InForce;
}

/** Code -> message, of those that hold. */
const saidOf = (parts: Parts, nowMs = NOW_MS, failures: Parameters<typeof warningsInForce>[1] = []) =>
  Object.fromEntries(
    warningsInForce(inForce(parts), failures, nowMs).flatMap(([code, warning]) =>
      warning === undefined ? [] : [[code, warning.message]],
    ),
  );

describe('warningsInForce', () => {
  it('warningsInForce answers for each of its codes, so that what is over is over', () => {
    const codes = [
      'names-not-resolved',
      'names-ambiguous',
      'names-point-inside',
      'numbers-exhausted',
      'uplink-missing',
      'address-of-vpn',
      'packages-not-told',
      'own-tunnel',
    ];
    expect(warningsInForce(inForce({}), [], NOW_MS)).toEqual(codes.map((code) => [code, undefined]));
    expect(warningsInForce(undefined, [], NOW_MS)).toEqual(codes.map((code) => [code, undefined]));
  });

  it('warningsInForce tells of uplinks without a device, and of what has no number', () => {
    expect(saidOf({ missing: ['wifi'], without: ['mail'] })).toEqual({
      'uplink-missing': 'uplinks whose network device is missing: wifi (wifi0)',
      'numbers-exhausted': 'there are no numbers left in the marks for mail',
    });
  });

  it('warningsInForce tells of names that cannot be resolved, and how many more there are', () => {
    const failures = Array.from({ length: 7 }, (_, i) => ({ name: `${i}.example`, because: 'ETIMEOUT' }));
    expect(saidOf({}, NOW_MS, failures)['names-not-resolved']).toMatch(/0\.example \(ETIMEOUT\).* and 2 more$/);
  });

  it('warningsInForce tells of names that share an address for as long as they do', () => {
    const rules = [rule('a.example', 'allow'), rule('b.example', 'deny')];
    const apps: EffectivePolicy[] = [{ app: 'mail', match: [], rules, files: [] }];
    expect(Object.keys(saidOf({ apps }))).toEqual(['names-ambiguous']);
    expect(saidOf({ apps }, NOW_MS + 1)).toEqual({});
  });

  it('warningsInForce tells of refused names that point at the network itself, and who refuses them', () => {
    const apps: EffectivePolicy[] = [
      { app: 'mail', match: [], rules: [rule('a.example', 'allow'), rule('b.example', 'deny')], files: [] },
    ];
    const said = saidOf({ apps, resolvers: [ADDRESS] });
    expect(Object.keys(said)).toEqual(['names-point-inside']);
    expect(said['names-point-inside']).toMatch(/: b\.example is 203\.0\.113\.1, a configured resolver \(a\.yaml:1\)$/);
    expect(saidOf({ apps, resolvers: [ADDRESS] }, NOW_MS + 1)).toEqual({});
  });
});
