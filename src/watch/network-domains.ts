/** Search domains by the files of others than NetworkManager, which says by D-Bus what it knows. */
import { join } from 'node:path';
import { domainsOf } from '../policy/network-identity.ts';
import { readText } from './read-text.ts';

/** systemd-networkd is in the network namespace of the system's manager. */
export const INIT_PID = 1;
const MAX_FILE_BYTES = 65_536;
/** What systemd-networkd writes of each link, by its index: sd_network_link_get_search_domains(3), and the lease of its DHCP client. */
export const NETWORKD_DIRECTORY = '/run/systemd/netif';
const NETWORKD_FILES = [
  ['links', ['DOMAINS']],
  ['leases', ['DOMAINNAME', 'DOMAIN_SEARCH_LIST']],
] as const;
/** resolv.conf(5): of several lines the last one holds. */
const SEARCH_LINE = /^(?:search|domain)[ \t]+(.*)$/gm;

/** Of a link of the network namespace that the system's manager is in; others number their links in their own way. */
export function networkdDomains(linkIndex: number, directory: string = NETWORKD_DIRECTORY): readonly string[] {
  return domainsOf(
    NETWORKD_FILES.flatMap(([kind, keys]) => {
      const text = readText(join(directory, kind, `${linkIndex}`), MAX_FILE_BYTES);
      return keys.flatMap((key) => words(new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1]));
    }),
  );
}

export function resolvConfDomains(path = '/etc/resolv.conf'): readonly string[] {
  const lines = [...readText(path, MAX_FILE_BYTES).matchAll(SEARCH_LINE)];
  return domainsOf(words(lines.at(-1)?.[1]));
}

const words = (text = ''): readonly string[] => text.split(/[ \t]+/).filter((word) => word !== '');
