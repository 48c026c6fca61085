/** A list of destinations or peers from a file's fields. */
import type { DestinationResult } from './destination.ts';
import { portInAddress } from './destination-hint.ts';
import { type Path, spanOf, spanWithin } from './document.ts';
import type { Destination } from './model.ts';
import { locationOf } from './report.ts';
import type { Checking } from './validate-via.ts';

export interface DestinationList {
  readonly parse: (text: string) => DestinationResult;
  /** Said of an entry that stands twice. */
  readonly duplicate: string;
}

/** Entries with mistakes are reported and left out. */
export function validateDestinations(
  entries: string | readonly (string | undefined)[],
  path: Path,
  checking: Checking,
  list: DestinationList,
): readonly Destination[] {
  const texts = typeof entries === 'string' ? [entries] : entries;
  const seen = new Set<string>();
  const destinations: Destination[] = [];
  for (const [index, text] of texts.entries()) {
    if (text === undefined) continue;
    const entryPath = typeof entries === 'string' ? path : [...path, index];
    const destination = validateDestination(text, entryPath, checking, list);
    if (destination !== undefined) destinations.push(destination);
    if (seen.has(text)) {
      const span = spanOf(checking.document, entryPath);
      checking.report.warning(span, { code: 'duplicate-entry', message: list.duplicate });
    }
    seen.add(text);
  }
  return destinations;
}

function validateDestination(
  text: string,
  path: Path,
  { document, report }: Checking,
  { parse }: DestinationList,
): Destination | undefined {
  const result = parse(text);
  const doubt = result.ok ? portInAddress(text) : undefined;
  if (doubt !== undefined) report.warning(spanOf(document, path), { code: 'port-in-address', ...doubt });
  if (result.ok) return { text, ...result.value, at: locationOf(document.source, spanOf(document, path)) };
  const { part, ...mistake } = result.mistake;
  report.error(spanWithin(document, path, part), mistake);
  return undefined;
}
