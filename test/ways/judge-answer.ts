/** Whether what answers goes back by the uplink whose address was asked. */
import fc from 'fast-check';
import { type Address, equalAddress, type Family, formatAddress } from '../../src/net/address.ts';
import { wayOfAnswer } from '../../src/plan/machine/packet-way.ts';
import { programMark, UPLINK_INBOUND, wayMark } from '../../src/plan/reserved.ts';
import { address, connectedDevice, LAN, LINKS } from './generated-machine.ts';
import type { World } from './judge-way.ts';

const PROGRAM = 9;
const PEERS: readonly Address[] = [
  '203.0.113.10',
  '198.51.100.7',
  '192.168.7.9',
  '192.168.50.9',
  '2001:db8:a::10',
  '2001:db8:b::7',
  'fd07::9',
  'fd50::9',
].map(address);

export interface AnswerCase {
  readonly protocol: 'tcp' | 'udp';
  readonly peer: Address;
  readonly link: number;
  /** Of the listener's mark; `undefined`: it has none. */
  readonly markedFor: number | undefined;
  /** It was decided that the connection may come in. */
  readonly isGoverned: boolean;
}

export const answer: fc.Arbitrary<AnswerCase> = fc.record({
  protocol: fc.constantFrom('tcp', 'udp'),
  peer: fc.constantFrom(...PEERS),
  link: fc.nat(LINKS.length - 1),
  markedFor: fc.constantFrom(undefined, 0, 0, 1, 2, 3),
  isGoverned: fc.boolean(),
});

/** `undefined`: it is right. `no case`: nobody can have asked that way. */
export function judgeAnswer(world: World, one: AnswerCase): string | undefined {
  const { setting, before, machine, plan, facts } = world;
  const { peer, protocol, markedFor, isGoverned } = one;
  const link = LINKS[one.link];
  const device = before.devices.find(({ name }) => name === link?.device);
  const own = device?.addresses.find((address) => address.family === peer.family);
  if (device === undefined || own === undefined) return 'no case';
  const connected = connectedDevice(setting, peer);
  if (connected !== undefined && connected !== device.name) return 'no case';
  if (setting.isLanGone && link === LAN) return 'no case';
  const uplink = facts.uplinks.find((state) => state.device === device.name);
  // From the local network alone: it has no other router.
  if (uplink === undefined && connected === undefined) return 'no case';
  const mark = markedFor === undefined ? 0 : (programMark(PROGRAM) | (wayMark(markedFor) & 0x7f000000)) >>> 0;
  const ctMark = isGoverned ? wayMark(UPLINK_INBOUND) : 0;
  const way = wayOfAnswer(machine, plan, { protocol, mark, own, peer, ctMark });
  const taken = setting.hasFromRule && device.name === 'wifi0' && way.kind === 'left' && way.device === device.name;
  const text = `${protocol} from ${formatAddress(own)} to ${formatAddress(peer)}, marked for ${markedFor}, ${setting.layout}`;
  if (way.kind !== 'left') {
    const chains = 'trace' in way ? way.trace.chains.join(' > ') : '';
    return hasRoute(world, device.name, peer.family) || connected !== undefined
      ? `${text}: it was ${way.kind} ${chains}`
      : undefined;
  }
  if (way.device !== device.name && !taken)
    return `${text}: it left by ${way.device}, chains ${way.trace.chains.join(' > ')}`;
  return equalAddress(way.seen, own) ? undefined : `${text}: it is seen as ${formatAddress(way.seen)}`;
}

function hasRoute({ facts }: World, device: string, family: Family): boolean {
  const state = facts.uplinks.find((uplink) => uplink.device === device);
  return (family === 4 ? state?.v4 : state?.v6) === true;
}
