/**
 * A program may choose the device that it leaves by (SO_BINDTODEVICE, IP_MULTICAST_IF, IP_PKTINFO), but no way out that its policy does
 * not permit. What goes by the system's routes, and by devices that are no uplinks, is its own affair. Pure.
 */
import type { Flow } from '../net/flow.ts';
import type { Accepted, Decision } from './decision.ts';
import type { Facts } from './facts.ts';
import { isLocalDestination } from './local-networks.ts';

const LOOPBACK_DEVICE = 'lo';

/** What is decided about a flow without a look at its device, as it is with one. */
export function asChosen(decision: Decision, { chosenDevice, destination }: Flow, { uplinks }: Facts): Decision {
  if (decision.verdict !== 'accept' || chosenDevice === undefined || chosenDevice === LOOPBACK_DEVICE) return decision;
  const refuse = (permitted: readonly string[]): Decision => {
    const { way: _, verdict: __, ...head } = decision;
    return { ...head, verdict: 'reject', cause: 'other-device', chosen: { device: chosenDevice, permitted } };
  };
  switch (decision.way.kind) {
    case 'uplink': {
      const names = takenUplinks(decision, decision.way.name);
      const permitted = uplinks.filter(({ name }) => names.includes(name)).map(({ device }) => device);
      return permitted.includes(chosenDevice) ? decision : refuse(permitted);
    }
    case 'local': {
      const here = uplinks.filter(({ device }) => device === chosenDevice);
      const isThere = here.length === 0 || here.some(({ onLink }) => isLocalDestination(onLink, destination));
      return isThere ? decision : refuse([]);
    }
    case 'system':
    case 'inbound':
      return decision;
  }
}

/** Of a flow that does not tell its share, each that shares. */
const takenUplinks = ({ choice }: Accepted, name: string): readonly string[] => [
  name,
  ...(choice?.considered ?? []).filter(({ taken }) => taken).map(({ uplink }) => uplink),
];
