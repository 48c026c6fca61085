/** Which devices systemd-networkd has a file for: somebody set them up. */
import { join } from 'node:path';
import { INIT_PID, NETWORKD_DIRECTORY } from './network-domains.ts';
import { isInOurNetwork } from './own-network.ts';
import { readText } from './read-text.ts';

const MAX_FILE_BYTES = 65_536;
/** A link without a .network file has none (link_save in src/network/networkd-state-file.c). */
const NETWORK_FILE = /^NETWORK_FILE=./m;

/** By the kernel's index; false for links of another network namespace than that of the system's manager. */
export function networkdManages(
  linkIndex: number,
  directory: string = NETWORKD_DIRECTORY,
  seesNetworkd: () => boolean = () => isInOurNetwork(INIT_PID),
): boolean {
  return NETWORK_FILE.test(readText(join(directory, 'links', `${linkIndex}`), MAX_FILE_BYTES)) && seesNetworkd();
}
