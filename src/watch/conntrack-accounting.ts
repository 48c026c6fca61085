import { readText } from './read-text.ts';

const COUNTED = '/proc/sys/net/netfilter/nf_conntrack_acct';
const TOLD = '/proc/sys/net/netfilter/nf_conntrack_events';
const MAX_BYTES = 64 * 1024;

/** Whether the kernel counts packets and bytes of new connections in this network namespace. Never changed by us. */
export function isConntrackCounted(path: string = COUNTED): boolean {
  return readText(path, MAX_BYTES).trim() === '1';
}

/** Whether it tells of connections that end: always (1), or of those that began while somebody listened (2). Never changed by us. */
export function isConntrackTold(path: string = TOLD): boolean {
  return readText(path, MAX_BYTES).trim() !== '0';
}
