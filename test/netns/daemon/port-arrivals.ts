/** Counts what comes to the server of the world, by uplink and destination port, before anything there puts fragments together. */
import { execFileSync } from 'node:child_process';
import { NET } from './world.ts';

const TABLE = 'arrivals';
const UPLINKS = [
  ['n1', 'wifi'],
  ['n2', 'cellular'],
] as const;

const nft = (args: readonly string[], input = ''): string =>
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, 'nft', ...args], { encoding: 'utf8', input });

/** `protocols`: those that count, as nft calls them. */
export function countArrivals(ports: readonly number[], protocols: readonly string[]): void {
  const each = UPLINKS.flatMap(([device]) => ports.map((port) => ({ device, port, name: `${device}_${port}` })));
  const rules = each.map(
    ({ device, port, name }) =>
      `iifname "${device}" meta l4proto { ${protocols.join(', ')} } th dport ${port} counter name ${name}`,
  );
  const chain = `chain c {\ntype filter hook prerouting priority -500;\n${rules.join('\n')}\n}`;
  const counters = each.map(({ name }) => `counter ${name} {}`);
  nft(['-f', '-'], `table inet ${TABLE} {\n${counters.join('\n')}\n${chain}\n}\n`);
}

/** By which uplinks something has arrived on a port since it was asked last. */
export function arrivedBy(port: number): readonly string[] {
  return UPLINKS.flatMap(([device, uplink]) => {
    const { nftables } = JSON.parse(nft(['-j', 'reset', 'counter', 'inet', TABLE, `${device}_${port}`])) as {
      readonly nftables: readonly { readonly counter?: { readonly packets: number } }[];
    };
    return nftables.some(({ counter }) => (counter?.packets ?? 0) > 0) ? [uplink] : [];
  });
}
