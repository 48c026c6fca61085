/** From which port on anybody may listen, in this network namespace: net.ipv4.ip_unprivileged_port_start (it holds for IPv6, too). */
import { readText } from './read-text.ts';

const DEFAULT_START = 1024;
const MAX_NUMBER_BYTES = 16;

export function firstUnprivilegedPort(path = '/proc/sys/net/ipv4/ip_unprivileged_port_start'): number {
  const text = readText(path, MAX_NUMBER_BYTES).trim();
  return /^\d+$/.test(text) ? Number(text) : DEFAULT_START;
}
