import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { FakeKernel } from '../kernel/fake/fake-kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { parseAddress } from '../net/address.ts';
import { ASK_EVERY_MS, FIRST_RETRY_MS, type Gateway, GatewayMacs, TELL_EVERY_MS } from './gateway-macs.ts';

const [MAC, OTHER_MAC] = ['00:00:5e:00:53:01', '00:00:5e:00:53:02'];
const GATEWAY: Gateway = {
  linkIndex: 3,
  carrierLosses: 1,
  address: parseAddress('192.0.2.1') ?? expect.fail('address'),
};

/** Since somebody in the table was heard of. */
const AGE_MS = 100;

let kernel: FakeKernel;
let macs: GatewayMacs;
let changes: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  changes = 0;
  kernel = new FakeKernel();
  macs = new GatewayMacs({
    background: testBackground,
    neighbours: kernel.neighbours,
    nowMs: () => performance.now(),
    onChange: () => {
      changes += 1;
    },
  });
});

afterEach(() => {
  macs[Symbol.dispose]();
  vi.useRealTimers();
});

const table = (hardwareAddress?: string, isStale = false) =>
  kernel.neighbours.setEntry({
    ...{ ...GATEWAY, isPermanent: false, isStale },
    ...(hardwareAddress !== undefined && { hardwareAddress, confirmedAgoMs: AGE_MS }),
  });
const hear = (hardwareAddress?: string) =>
  macs.hear([
    { ...GATEWAY, isPermanent: false, isStale: false, ...(hardwareAddress !== undefined && { hardwareAddress }) },
  ]);
const asked = () => kernel.neighbours.resolved.length;

describe('GatewayMacs', () => {
  it('GatewayMacs.follow() asks for a gateway that the kernel does not know, and hears of the answer', () => {
    kernel.neighbours.answerFor(GATEWAY, MAC);
    macs.follow([GATEWAY]);
    expect([macs.macOf(GATEWAY), asked()]).toEqual([undefined, 1]);
    hear(MAC);
    expect([macs.macOf(GATEWAY), changes]).toEqual([MAC, 1]);
  });

  it('GatewayMacs.follow() asks nobody whom the kernel knows', () => {
    table(MAC);
    macs.follow([GATEWAY]);
    expect([macs.macOf(GATEWAY), asked()]).toEqual([MAC, 0]);
  });

  it('GatewayMacs asks again and again for somebody who does not answer, less and less often', () => {
    macs.follow([GATEWAY]);
    for (let round = 0; round < 50; round += 1) macs.follow([GATEWAY]);
    expect(asked()).toBe(1);
    vi.advanceTimersByTime(FIRST_RETRY_MS);
    expect(asked()).toBe(2);
    vi.advanceTimersByTime(2 * FIRST_RETRY_MS);
    expect(asked()).toBe(3);
    vi.advanceTimersByTime(3_600_000);
    expect(asked()).toBeLessThan(3_600_000 / ASK_EVERY_MS + 8);
    expect(asked()).toBeGreaterThan(3_600_000 / ASK_EVERY_MS - 2);
    expect(changes).toBe(0);
  });

  it('GatewayMacs keeps what it knows of a gateway that is silent for a while, and asks for it at once', () => {
    table(MAC);
    macs.follow([GATEWAY]);
    table();
    hear();
    expect([macs.macOf(GATEWAY), asked(), changes]).toEqual([MAC, 1, 0]);
    kernel.neighbours.removeEntry(GATEWAY);
    macs.follow([GATEWAY]);
    expect(macs.macOf(GATEWAY)).toBe(MAC);
  });

  it('GatewayMacs forgets a gateway when the link has lost its carrier, or leads elsewhere', () => {
    table(MAC);
    macs.follow([GATEWAY]);
    kernel.neighbours.removeEntry(GATEWAY);
    const later = { ...GATEWAY, carrierLosses: 2 };
    macs.follow([later]);
    expect([macs.macOf(later), macs.macOf(GATEWAY)]).toEqual([undefined, undefined]);
    macs.follow([]);
    macs.follow([GATEWAY]);
    expect(macs.macOf(GATEWAY)).toBeUndefined();
  });

  it('GatewayMacs believes nothing that the kernel knows from before a loss of the carrier', () => {
    table(MAC);
    macs.follow([GATEWAY]);
    macs.follow([]);
    const later = { ...GATEWAY, carrierLosses: 2 };
    kernel.neighbours.answerFor(GATEWAY, OTHER_MAC);
    macs.follow([later]);
    // Asked, and answered by somebody else.
    expect([macs.macOf(later), asked()]).toEqual([undefined, 1]);
    vi.advanceTimersByTime(AGE_MS);
    hear(OTHER_MAC);
    expect([macs.macOf(later), changes]).toEqual([OTHER_MAC, 1]);
  });

  it('GatewayMacs believes what somebody has made permanent', () => {
    macs.follow([GATEWAY]);
    macs.follow([]);
    kernel.neighbours.setEntry({ ...GATEWAY, hardwareAddress: MAC, isPermanent: true, isStale: false });
    const later = { ...GATEWAY, carrierLosses: 2 };
    macs.follow([later]);
    expect(macs.macOf(later)).toBe(MAC);
  });

  it('GatewayMacs tells nothing of news that say the same', () => {
    table(MAC);
    macs.follow([GATEWAY]);
    const find = vi.spyOn(kernel.neighbours, 'find');
    for (let i = 0; i < 100; i += 1) hear(MAC);
    macs.hear([{ ...GATEWAY, linkIndex: 4, hardwareAddress: OTHER_MAC, isPermanent: false, isStale: false }]);
    expect([find.mock.calls.length, changes]).toEqual([0, 0]);
  });

  it('GatewayMacs tells of a change at once, and of many at a bounded pace', () => {
    table(MAC);
    macs.follow([GATEWAY]);
    table(OTHER_MAC);
    hear(OTHER_MAC);
    expect([macs.macOf(GATEWAY), changes]).toEqual([OTHER_MAC, 1]);
    for (let i = 0; i < 100; i += 1) {
      const mac = i % 2 === 0 ? MAC : OTHER_MAC;
      table(mac);
      hear(mac);
    }
    expect(changes).toBe(1);
    vi.advanceTimersByTime(TELL_EVERY_MS);
    expect(changes).toBe(2);
  });

  it('GatewayMacs makes sure of a stale address now and then, and finds another one without being told', () => {
    table(MAC, true);
    kernel.neighbours.answerFor(GATEWAY, OTHER_MAC);
    macs.follow([GATEWAY]);
    expect([macs.macOf(GATEWAY), asked()]).toEqual([MAC, 1]);
    vi.advanceTimersByTime(ASK_EVERY_MS);
    expect([macs.macOf(GATEWAY), changes]).toEqual([OTHER_MAC, 1]);
    vi.advanceTimersByTime(10 * ASK_EVERY_MS);
    expect(asked()).toBe(1);
  });

  it('GatewayMacs goes on where the kernel refuses', () => {
    const refusal = () => new KernelError('get neighbour', 95, 'EOPNOTSUPP', '', 'no');
    for (let i = 0; i < 3; i += 1) kernel.failures.failNext('neighbours', refusal());
    macs.follow([GATEWAY]);
    expect(macs.macOf(GATEWAY)).toBeUndefined();
    kernel.failures.clear();
    table(MAC);
    macs.follow([GATEWAY]);
    expect(macs.macOf(GATEWAY)).toBe(MAC);
  });
});
