/**
 * Text tables of sockets in `/proc/net`: `icmp`, `icmp6`, `raw`, `raw6` (ping sockets and raw sockets, for which
 * sock_diag has no exact look-up). One line a socket:
 *
 *     sl local_address:port rem_address:port st tx:rx tr:when retrnsmt uid timeout inode ...
 *
 * Addresses are 32-bit words of network order bytes printed as numbers of this machine's byte order; the local "port" is a
 * ping socket's echo identifier, or a raw socket's protocol.
 */
import { type Address, addressFromBytes } from '../net/address.ts';

/** Lines read; each is a socket that needed CAP_NET_RAW or the ping group. */
export const MAX_TABLE_SOCKETS = 4096;

export interface TableSocket {
  readonly local: Address;
  readonly remote: Address;
  /** Echo identifier (ping sockets) or protocol number (raw sockets). */
  readonly localPort: number;
  readonly uid: number;
  readonly inode: number;
}

/** `byteOrder` is the machine's (`os.endianness()`). Lines that are no socket, like the heading, are passed over. */
export function parseSocketTable(text: string, byteOrder: 'LE' | 'BE'): TableSocket[] {
  return text
    .split('\n', MAX_TABLE_SOCKETS + 1)
    .map((line) => parseLine(line.trim().split(/\s+/), byteOrder))
    .filter((socket) => socket !== undefined);
}

function parseLine(fields: readonly string[], byteOrder: 'LE' | 'BE'): TableSocket | undefined {
  const local = parseEndpoint(fields[1], byteOrder);
  const remote = parseEndpoint(fields[2], byteOrder);
  const uid = Number(fields[7]);
  const inode = Number(fields[9]);
  if (local === undefined || remote === undefined) return undefined;
  if (!Number.isSafeInteger(uid) || !Number.isSafeInteger(inode)) return undefined;
  return { local: local.address, remote: remote.address, localPort: local.port, uid, inode };
}

const ENDPOINT = /^((?:[0-9A-F]{8}){1}|(?:[0-9A-F]{8}){4}):([0-9A-F]{4})$/;

function parseEndpoint(
  text: string | undefined,
  byteOrder: 'LE' | 'BE',
): { address: Address; port: number } | undefined {
  const [, words = '', port = ''] = ENDPOINT.exec(text ?? '') ?? [];
  if (words === '') return undefined;
  const bytes = new Uint8Array(words.length / 2);
  const view = new DataView(bytes.buffer);
  for (let offset = 0; offset < bytes.length; offset += 4) {
    const word = Number.parseInt(words.slice(offset * 2, offset * 2 + 8), 16);
    view.setUint32(offset, word, byteOrder === 'LE');
  }
  return { address: addressFromBytes(bytes), port: Number.parseInt(port, 16) };
}
