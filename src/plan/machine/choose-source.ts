/** The source address that the kernel gives to a socket that has none. */
import { type Address, type Family, type Prefix, parsePrefix, prefixContains } from '../../net/address.ts';
import type { FoundRoute } from './look-up-route.ts';
import { type Device, LOOPBACK_DEVICE, type Machine } from './machine.ts';

const addressesOf = (device: Device, family: Family): readonly Address[] =>
  device.addresses.filter((address) => address.family === family);

const UNIQUE_LOCAL: Prefix | undefined = parsePrefix('fc00::/7');
const isUniqueLocal = (address: Address): boolean =>
  UNIQUE_LOCAL !== undefined && prefixContains(UNIQUE_LOCAL, address);

const WIDTH6 = 128;
/** RFC 6724 section 5, rule 8. */
function commonBits(a: Address, b: Address): number {
  const differing = a.value ^ b.value;
  return differing === 0n ? WIDTH6 : WIDTH6 - differing.toString(2).length;
}

/** RFC 6724 section 5, as far as it matters here: of the destination's kind, and what has more bits in common with it. */
function choose6(candidates: readonly Address[], destination: Address): Address | undefined {
  const kind = isUniqueLocal(destination);
  const worth = (address: Address): number =>
    (isUniqueLocal(address) === kind ? WIDTH6 + 1 : 0) + commonBits(address, destination);
  return candidates.toSorted((a, b) => worth(b) - worth(a))[0];
}

/** Of the device, else of any other: by IPv4 inet_select_addr(), by IPv6 ipv6_dev_get_saddr(). */
export function addressFor(
  { devices }: Machine,
  device: string | undefined,
  destination: Address,
): Address | undefined {
  const { family } = destination;
  const rest = devices.filter(({ name }) => name !== LOOPBACK_DEVICE && name !== device);
  const own = devices.filter(({ name }) => name === device);
  for (const some of [own, rest]) {
    const candidates = some.flatMap((one) => addressesOf(one, family));
    const chosen = family === 4 ? candidates[0] : choose6(candidates, destination);
    if (chosen !== undefined) return chosen;
  }
  return undefined;
}

/** `route`: `undefined` where there is none; IPv6 takes any address then, and looks again (ip6_dst_lookup_tail()). */
export function chooseSource(
  machine: Machine,
  route: FoundRoute | undefined,
  destination: Address,
): Address | undefined {
  return route?.source ?? addressFor(machine, route?.device, destination);
}
