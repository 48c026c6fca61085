/**
 * What `pointsman panic closed` loads: a table of its own that depends on nothing else of ours. Everything is dropped
 * on its way in, out and through, established connections too: closed means closed. Loopback passes, and what keeps
 * the link itself alive (neighbour discovery, MLD, IGMP, DHCP).
 */
import { PANIC_TABLE } from '../plan/reserved.ts';

/** Before conntrack and raw (-300): nothing is spent on, or remembered of, what is dropped. */
const PRIORITY_PANIC = -310;

/**
 * By where it goes, for nothing is known here of the networks that the machine is in: what cannot leave the link by its nature.
 * Router and neighbour discovery 133-137, MLD 130-132 and 143, IGMP, and DHCP's two pairs of ports.
 */
const SENT: readonly string[] = [
  'ip6 daddr { fe80::/10, ff02::/16 } icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 137, 143 } accept',
  'ip protocol igmp ip daddr 224.0.0.0/24 accept',
  'ip daddr 255.255.255.255 udp sport . udp dport { 67 . 68, 68 . 67 } accept',
  'ip6 daddr { fe80::/10, ff02::1:2 } udp sport . udp dport { 546 . 547, 547 . 546 } accept',
];
/** Whoever forwards lowers the hop limit: 255 comes from a neighbour (RFC 4861 section 11.2). */
const RECEIVED: readonly string[] = [
  'ip6 hoplimit 255 icmpv6 type { 133, 134, 135, 136, 137 } accept',
  'ip6 saddr fe80::/10 icmpv6 type { 130, 131, 132, 143 } accept',
  'ip protocol igmp ip daddr 224.0.0.0/4 accept',
  'ip daddr 255.255.255.255 udp sport . udp dport { 67 . 68, 68 . 67 } accept',
  'ip6 saddr fe80::/10 udp sport . udp dport { 546 . 547, 547 . 546 } accept',
];

export const PANIC_CHAINS: readonly {
  readonly name: string;
  readonly hook: string;
  readonly rules: readonly string[];
}[] = [
  { name: 'output', hook: 'output', rules: ['oifname "lo" accept', ...SENT, 'drop'] },
  { name: 'input', hook: 'input', rules: ['iifname "lo" accept', ...RECEIVED, 'drop'] },
  { name: 'forward', hook: 'forward', rules: ['drop'] },
];

/** The batch that replaces whatever stands there. */
export function renderPanicTable(): string {
  const chains = PANIC_CHAINS.map(({ name, hook, rules }) => {
    const frame = `type filter hook ${hook} priority ${PRIORITY_PANIC}; policy drop;`;
    return `  chain ${name} {\n${[frame, ...rules].map((line) => `    ${line}\n`).join('')}  }\n`;
  });
  return `add table inet ${PANIC_TABLE}\ndelete table inet ${PANIC_TABLE}\ntable inet ${PANIC_TABLE} {\n${chains.join('')}}\n`;
}
