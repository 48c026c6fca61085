import { readFileSync } from 'node:fs';
import { type Address, isLoopbackAddress, parseAddress } from '../net/address.ts';

const NAMESERVER_LINE = /^nameserver[ \t]+([^ \t%]+)/;
/** glibc asks no more of them (MAXNS in resolv.h); some stubs and musl do. */
const MAX_RESOLVERS = 8;

/**
 * The DNS servers that programs ask: resolv.conf(5), as it stands now. A stub on loopback is none of them: asking it needs no
 * permission. Empty where the file cannot be read.
 */
export function configuredResolvers(path = '/etc/resolv.conf'): readonly Address[] {
  const addresses = readText(path)
    .split('\n')
    .map((line) => NAMESERVER_LINE.exec(line)?.[1])
    .map((text) => (text === undefined ? undefined : parseAddress(text)))
    .filter((address) => address !== undefined && !isLoopbackAddress(address));
  return addresses.filter((address) => address !== undefined).slice(0, MAX_RESOLVERS);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
