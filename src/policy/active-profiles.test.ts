import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { activeProfiles } from './active-profiles.ts';
import type { AttachedNetwork, UplinkState } from './facts.ts';
import type { ProfileCondition } from './model.ts';

const HOME_MAC = '00:00:5e:00:53:01';
const OTHER_MAC = '00:00:5e:00:53:02';
const at = { file: 'a.yaml', line: 1, column: 1 };
const time = { weekday: 1, minute: 720 };

function uplink(name: string, network: AttachedNetwork | undefined, up = true): UplinkState {
  const state = { name, id: 1, device: name, up, v4: up, v6: up, addresses: [], onLink: [], gateways: {} };
  return network === undefined ? state : { ...state, network };
}

const holds = (condition: ProfileCondition, ...uplinks: readonly UplinkState[]): boolean =>
  activeProfiles([{ name: 'home', when: [condition], at }], { uplinks, time }).length === 1;

const HOME: AttachedNetwork = { ssid: 'Home', gatewayMacs: [HOME_MAC], domains: ['home.example', 'lan'] };

describe('activeProfiles()', () => {
  it.each<[ProfileCondition, boolean]>([
    [{ ssids: ['Home'] }, true],
    [{ ssids: ['Office', 'Home'] }, true],
    [{ ssids: ['home'] }, false],
    [{ gateways: [HOME_MAC] }, true],
    [{ gateways: [OTHER_MAC] }, false],
    [{ domains: ['lan'] }, true],
    [{ domains: ['example'] }, false],
    [{ domains: ['a.home.example'] }, false],
    [{ uplinks: ['wifi'], ssids: ['Home'], gateways: [HOME_MAC], domains: ['lan'] }, true],
    [{ uplinks: ['cellular'], ssids: ['Home'] }, false],
    [{ ssids: ['Home'], gateways: [OTHER_MAC] }, false],
    [{ ssids: ['Home'], times: [{ days: [2], fromMinute: 0, toMinute: 1440 }] }, false],
  ])('activeProfiles() asks of an uplink at home whether it meets %j', (condition, expected) => {
    expect(holds(condition, uplink('wifi', HOME))).toBe(expected);
  });

  it('activeProfiles() passes over networks of uplinks that are down, or of which nothing is known', () => {
    expect(holds({ ssids: ['Home'] }, uplink('wifi', HOME, false))).toBe(false);
    expect(holds({ ssids: ['Home'] }, uplink('wifi', undefined))).toBe(false);
    expect(holds({ ssids: ['Home'] })).toBe(false);
  });

  it('activeProfiles() wants all that is said of an uplink of one and the same', () => {
    const [name, mac] = [uplink('wifi', { ssid: 'Home' }), uplink('lan', { gatewayMacs: [HOME_MAC] })];
    expect(holds({ ssids: ['Home'], gateways: [HOME_MAC] }, name, mac)).toBe(false);
    expect(holds({ uplinks: ['lan'], ssids: ['Home'] }, name, mac)).toBe(false);
    expect(holds({ ssids: ['Home'], gateways: [HOME_MAC] }, name, uplink('both', HOME))).toBe(true);
  });

  it('activeProfiles() never begins a profile by stating more', () => {
    const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { minLength: 1, maxLength: 2 });
    const ssid = fc.constantFrom('Home', 'Office');
    const mac = fc.constantFrom(HOME_MAC, OTHER_MAC);
    const domain = fc.constantFrom('lan', 'home.example');
    const network = fc.record(
      { ssid, gatewayMacs: some(mac), domains: some(domain) },
      { requiredKeys: [] },
    ) as fc.Arbitrary<AttachedNetwork>;
    const condition = fc.record(
      { uplinks: some(fc.constantFrom('a', 'b')), ssids: some(ssid), gateways: some(mac), domains: some(domain) },
      { requiredKeys: ['uplinks'] },
    ) as fc.Arbitrary<ProfileCondition>;
    const property = fc.property(condition, fc.tuple(network, network), fc.boolean(), (stated, [a, b], up) => {
      const uplinks = [uplink('a', a), uplink('b', b, up)];
      const parts = Object.entries(stated).map(([key, value]) => ({ [key]: value }) as ProfileCondition);
      const one = (state: UplinkState) => parts.every((part) => holds(part, state));
      expect(holds(stated, ...uplinks)).toBe(uplinks.some(one));
    });
    fc.assert(property);
  });
});
