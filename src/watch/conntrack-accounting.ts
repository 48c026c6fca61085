import { readText } from './read-text.ts';

const SYSCTL = '/proc/sys/net/netfilter/nf_conntrack_acct';
const MAX_BYTES = 64 * 1024;

/** Whether the kernel counts packets and bytes of new connections in this network namespace. Never changed by us. */
export function isConntrackCounted(path: string = SYSCTL): boolean {
  return readText(path, MAX_BYTES).trim() === '1';
}
