import { type Address, isLoopbackAddress, parseAddress } from '../net/address.ts';
import { readText } from './read-text.ts';

const NAMESERVER_LINE = /^nameserver[ \t]+([^ \t%]+)/;
/** glibc asks no more of them (MAXNS in resolv.h); some stubs and musl do. */
const MAX_RESOLVERS = 8;
/** A hundred times as long as any that a person or a program writes. */
const MAX_FILE_BYTES = 1_048_576;

/** What systemd-resolved asks itself: it keeps this list for programs that go past its stub. */
const UPSTREAM_OF_STUB = '/run/systemd/resolve/resolv.conf';

export interface ConfiguredResolvers {
  /** Asking them needs permission. */
  readonly resolvers: readonly Address[];
  /** Stubs, of which nobody knows whom they ask: asking them needs none. */
  readonly loopback: readonly Address[];
}

/** The DNS servers that programs ask: resolv.conf(5), as it stands now. Empty where the file cannot be read. */
export function configuredResolvers(path = '/etc/resolv.conf'): ConfiguredResolvers {
  const addresses = nameservers(path);
  return {
    resolvers: addresses.filter((address) => !isLoopbackAddress(address)),
    loopback: addresses.filter(isLoopbackAddress),
  };
}

/** Those behind the configured ones, as far as it is known. */
export function upstreamResolvers(
  { resolvers, loopback }: ConfiguredResolvers,
  path: string = UPSTREAM_OF_STUB,
): readonly Address[] {
  if (resolvers.length > 0 || loopback.length === 0) return resolvers;
  return nameservers(path).filter((address) => !isLoopbackAddress(address));
}

function nameservers(path: string): readonly Address[] {
  const texts = readText(path, MAX_FILE_BYTES)
    .split('\n')
    .map((line) => NAMESERVER_LINE.exec(line)?.[1]);
  const addresses = texts.flatMap((text) => (text === undefined ? [] : (parseAddress(text) ?? [])));
  return addresses.slice(0, MAX_RESOLVERS);
}

const HOSTS_BY_RESOLVED = /^[ \t]*hosts:[^#\n]*\bresolve\b/m;

/** nss-resolve(8): names are asked for by a unix socket, where nobody can see which program asks. */
export function asksBySocket(path = '/etc/nsswitch.conf'): boolean {
  return HOSTS_BY_RESOLVED.test(readText(path, MAX_FILE_BYTES));
}
