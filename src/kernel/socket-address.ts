import { type Address, addressToBytes } from '../net/address.ts';
import { AF_INET, AF_INET6 } from '../netlink/uapi.ts';

const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;

/**
 * struct sockaddr_in (ip(7)) or sockaddr_in6 (ipv6(7)). `scopeId`: the index of the device that a link-local address is reached by;
 * without meaning for others.
 */
export function encodeSocketAddress(address: Address, port: number, scopeId = 0): Uint8Array {
  const bytes = new Uint8Array(address.family === 4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, address.family === 4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  if (address.family === 4) {
    bytes.set(addressToBytes(address), 4);
  } else {
    bytes.set(addressToBytes(address), 8);
    view.setUint32(24, isLinkLocal(address) ? scopeId : 0, true);
  }
  return bytes;
}

/** fe80::/10 */
const isLinkLocal = ({ value }: Address): boolean => value >> 118n === 0xfe80n >> 6n;
