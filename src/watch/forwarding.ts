/** Whether this machine forwards packets of others, in this network namespace. */
import type { Family } from '../net/address.ts';
import { readText } from './read-text.ts';

const SYSCTL: Readonly<Record<Family, string>> = {
  4: '/proc/sys/net/ipv4/ip_forward',
  6: '/proc/sys/net/ipv6/conf/all/forwarding',
};
const MAX_NUMBER_BYTES = 16;

export function forwardedFamilies(paths: Readonly<Record<Family, string>> = SYSCTL): readonly Family[] {
  return ([4, 6] as const).filter((family) => Number(readText(paths[family], MAX_NUMBER_BYTES)) > 0);
}
