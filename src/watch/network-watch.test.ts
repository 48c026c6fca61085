import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { FakeKernel, fakeLink } from '../kernel/fake/fake-kernel.ts';
import { parseAddress, parsePrefix } from '../net/address.ts';
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, RTN_UNICAST, RTPROT_BOOT } from '../netlink/route.ts';
import { activeProfiles } from '../policy/active-profiles.ts';
import type { UplinkState } from '../policy/facts.ts';
import type { Profile } from '../policy/model.ts';
import { NetworkWatch } from './network-watch.ts';

const MAC = '00:00:5e:00:53:01';
const gateway = parseAddress('192.0.2.1') ?? expect.fail('address');
const destination = parsePrefix('0.0.0.0/0') ?? expect.fail('prefix');
const KEY = { linkIndex: 3, address: gateway };
const NETWORK = {
  links: [fakeLink({ index: 3, name: 'wlan0' })],
  addresses: [],
  routes: [
    {
      ...({ family: 4, table: RT_TABLE_MAIN, destination, type: RTN_UNICAST, scope: RT_SCOPE_UNIVERSE } as const),
      ...{ protocol: RTPROT_BOOT, metric: 600, gateway, oif: 3, onlink: false },
    },
  ],
};
const UPLINK: UplinkState = {
  ...{ name: 'wifi', id: 1, device: 'wlan0', deviceIndex: 3, up: true, v4: true, v6: false },
  ...{ addresses: [], onLink: [], gateways: { v4: gateway } },
};
const at = { file: 'home.yaml', line: 2, column: 10 };
const HOME: readonly Profile[] = [{ name: 'home', when: [{ gateways: [MAC] }], at }];

let kernel: FakeKernel;
let onChange: ReturnType<typeof vi.fn<() => void>>;
let watch: NetworkWatch;
beforeEach(() => {
  kernel = new FakeKernel();
  onChange = vi.fn<() => void>();
  watch = new NetworkWatch({ background: testBackground, kernel, managed: { device: () => undefined }, onChange });
});
afterEach(() => watch[Symbol.dispose]());

const active = (profiles: readonly Profile[]): readonly string[] =>
  activeProfiles(profiles, {
    uplinks: watch.attach([UPLINK], NETWORK, profiles),
    time: { weekday: 1, minute: 0 },
  });

describe('NetworkWatch', () => {
  it('NetworkWatch.attach() has a profile begin and end with the gateway', () => {
    kernel.neighbours.answerFor(KEY, MAC);
    expect(active(HOME)).toEqual([]);
    expect(watch.watched).toMatchObject([KEY]);
    watch.hear([{ ...KEY, hardwareAddress: MAC, isPermanent: false, isStale: false }]);
    expect(onChange).toHaveBeenCalledTimes(1);
    expect(active(HOME)).toEqual(['home']);
    kernel.neighbours.setEntry({ ...KEY, hardwareAddress: '00:00:5e:00:53:02', isPermanent: false, isStale: false });
    expect(active(HOME)).toEqual([]);
  });

  it('NetworkWatch.attach() asks nobody, and watches nobody, for profiles that speak of no network', () => {
    const find = vi.spyOn(kernel.neighbours, 'find');
    const ssids = vi.spyOn(kernel.wireless, 'ssids');
    active(HOME);
    find.mockClear();
    const uplinks = [UPLINK];
    expect(watch.attach(uplinks, NETWORK, [{ name: 'wireless', when: [{ uplinks: ['wifi'] }], at }])).toBe(uplinks);
    expect(watch.watched).toEqual([]);
    expect([find.mock.calls.length, ssids.mock.calls.length]).toEqual([0, 0]);
  });

  it('NetworkWatch.describe() tells all that is known, without asking the gateway', () => {
    kernel.wireless.setSsids(new Map([[3, 'Home']]));
    kernel.neighbours.setEntry({ ...KEY, hardwareAddress: MAC, isPermanent: false, isStale: true });
    const [wifi] = watch.describe([UPLINK], NETWORK);
    expect(wifi?.network).toMatchObject({ ssid: 'Home', gatewayMacs: [MAC] });
    expect(kernel.neighbours.resolved).toEqual([]);
  });
});
