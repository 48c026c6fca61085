/** `doctor` for people: one line for each finding, and below it what would mend it. */
import type { DoctorReport, FindingState } from '../api/doctor.ts';
import { printable } from '../net/printable.ts';
import { painter, type Style } from './paint.ts';
import { renderTable } from './text-table.ts';

const STYLES: Readonly<Record<FindingState, Style>> = {
  ok: 'green',
  limited: 'yellow',
  broken: 'alarm',
  'not seen': 'dim',
};

/** Ends with a newline. */
export function renderDoctor(
  { network, kernel, findings }: DoctorReport,
  options: { readonly colour: boolean },
): string {
  const paint = painter(options.colour);
  const rows = findings.flatMap(({ part, state, message, mend }) => [
    [{ text: state, style: STYLES[state] }, part, message],
    ...(mend === undefined ? [] : [['', '', { text: `-> ${mend}`, style: 'cyan' as const }]]),
  ]);
  const counts = (['broken', 'limited', 'not seen'] as const).flatMap((state) => {
    const count = findings.filter((finding) => finding.state === state).length;
    return count === 0 ? [] : [`${count} ${state}`];
  });
  const summary = counts.length === 0 ? 'All of it works.' : `Of ${findings.length}: ${counts.join(', ')}.`;
  return `${[`${printable(network)}, ${printable(kernel)}`, '', ...renderTable({ rows }, paint), '', summary].join('\n')}\n`;
}
