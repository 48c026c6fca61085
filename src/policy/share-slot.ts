/**
 * Which share of the traffic a flow belongs to, where several uplinks take it in turn: a slot between 0 and SHARE_SLOTS - 1. The
 * kernel computes the same from the packet, by nft's `jhash` over the same fields, so that whoever decides a flow comes to
 * the same uplink.
 */
import { addressToBytes } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { jhash, jhashMod } from '../net/jhash.ts';
import { protocolHasPorts } from '../net/protocol.ts';
import type { Share } from './model.ts';

export const SHARE_SLOTS = 65_536;
/** Fixed: after a restart every destination finds its uplink again. */
export const SHARE_SEED = 0x706d;
/** Applications differ by so much only, so that equal policies of thousands of them still share their chains. */
export const APP_SHARE_CLASSES = 256;
const SLOTS_PER_CLASS = SHARE_SLOTS / APP_SHARE_CLASSES;

/** A register of nftables holds 4 bytes, and a field starts in one of its own. */
const REGISTER_BYTES = 4;

function inRegisters(fields: readonly Uint8Array[]): Uint8Array {
  const widths = fields.map(({ length }) => Math.ceil(length / REGISTER_BYTES) * REGISTER_BYTES);
  const registers = new Uint8Array(widths.reduce((sum, width) => sum + width, 0));
  let offset = 0;
  for (const [i, field] of fields.entries()) {
    registers.set(field, offset);
    offset += widths[i] ?? 0;
  }
  return registers;
}

const hashFields = (...fields: readonly Uint8Array[]): number => jhashMod(inRegisters(fields), SHARE_SEED, SHARE_SLOTS);

const port = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value & 0xff);

/** All of its addresses, protocol and ports; without the ports where the protocol has none. */
function connectionSlot({ protocol, source, destination, sourcePort, destinationPort }: Flow): number | undefined {
  // Somebody asks about a connection that is not there yet.
  if (source.value === 0n) return undefined;
  const head = [addressToBytes(source), addressToBytes(destination), Uint8Array.of(protocol)];
  if (!protocolHasPorts(protocol)) return hashFields(...head);
  if (sourcePort === undefined || destinationPort === undefined) return undefined;
  return hashFields(...head, port(sourcePort), port(destinationPort));
}

/** `app`: its id, which is ASCII; '' for programs without a policy, which count as one. */
export function appSlot(app: string): number {
  const bytes = Uint8Array.from(app, (character) => character.charCodeAt(0));
  const place = jhash(bytes, SHARE_SEED) % APP_SHARE_CLASSES;
  return place * SLOTS_PER_CLASS + SLOTS_PER_CLASS / 2;
}

/** Absent where the flow does not tell. */
export function shareSlot(share: Share, flow: Flow, app: string): number | undefined {
  switch (share) {
    case 'connection':
      return connectionSlot(flow);
    case 'destination':
      return hashFields(addressToBytes(flow.destination));
    case 'app':
      return appSlot(app);
  }
}
