/**
 * What `pointsman panic closed` loads: a table of its own that depends on nothing else of ours. Everything is dropped
 * on its way in, out and through, established connections too: closed means closed. Loopback passes, and what keeps
 * the link itself alive (neighbour discovery, MLD, IGMP, DHCP).
 */
import { PANIC_TABLE } from '../plan/reserved.ts';

/** Before conntrack and raw (-300): nothing is spent on, or remembered of, what is dropped. */
const PRIORITY_PANIC = -310;

/** Router and neighbour discovery 133-137, MLD 130-132 and 143, IGMP, and DHCP's two pairs of ports. */
const HOUSEKEEPING: readonly string[] = [
  'icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 137, 143 } accept',
  'ip protocol igmp accept',
  'udp sport . udp dport { 67 . 68, 68 . 67, 67 . 67, 546 . 547, 547 . 546 } accept',
];

export const PANIC_CHAINS: readonly {
  readonly name: string;
  readonly hook: string;
  readonly rules: readonly string[];
}[] = [
  { name: 'output', hook: 'output', rules: ['oifname "lo" accept', ...HOUSEKEEPING, 'drop'] },
  { name: 'input', hook: 'input', rules: ['iifname "lo" accept', ...HOUSEKEEPING, 'drop'] },
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
