/** Keeps what a run found for docs/attribution.md, where `npm run attribution` asks for it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import type { LeakRow, Results, Row } from './score/table.ts';

/** Path of the file, and what the page calls the machine. Nothing is kept without both. */
const FILE = process.env.POINTSMAN_ATTRIBUTION_FILE;
const MACHINE = process.env.POINTSMAN_ATTRIBUTION_MACHINE;
/** What follows is who built it. */
const VERSION = /^\d+(?:\.\d+)*/;

export const keepRows = (rows: readonly Row[]): void => keep({ rows });
export const keepLeaks = (leaks: readonly LeakRow[]): void => keep({ leaks });

function keep(found: Partial<Results>): void {
  if (FILE === undefined || MACHINE === undefined) return;
  const before = existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Results) : { rows: [], leaks: [] };
  const [kernel = ''] = VERSION.exec(release()) ?? [];
  const results: Results = { ...before, ...found, machine: MACHINE, kernel };
  writeFileSync(FILE, `${JSON.stringify(results, undefined, 2)}\n`);
}
