/** How the lab's uplinks are, as a table. */
import type { LinkState } from '../lab/lab-link.ts';
import { describeCondition } from '../lab/link-condition.ts';
import { painter } from './paint.ts';
import { type Cell, renderTable } from './text-table.ts';

export function renderLinks(links: readonly LinkState[], colour: boolean): readonly string[] {
  const rows = links.map(({ uplink, device, carrier, condition }): readonly Cell[] => [
    uplink,
    device,
    carrier ? { text: 'carrier', style: 'green' } : { text: 'no carrier', style: 'alarm' },
    describeCondition(condition) || 'as built',
  ]);
  return renderTable({ head: ['UPLINK', 'DEVICE', 'LINK', 'CONDITION'], rows }, painter(colour));
}
