/** `accept` from a file's fields: who may connect. */
import { parsePeer } from './destination.ts';
import { type Path, spanOf } from './document.ts';
import { namesLoopback } from './match-destination.ts';
import type { Accept, Destination } from './model.ts';
import { locationOf } from './report.ts';
import type { AcceptFields } from './schema.ts';
import { type DestinationList, validateDestinations } from './validate-destinations.ts';
import type { Checking } from './validate-via.ts';

const IN_ACCEPT: DestinationList = { parse: parsePeer, duplicate: 'the same peer stands in this list already' };

/** An empty list is a statement too: nobody may connect. */
export function validateAccept(fields: AcceptFields, path: Path, checking: Checking): Accept {
  const { document, report } = checking;
  const from = validateDestinations(fields, path, checking, IN_ACCEPT);
  for (const entry of from) {
    const message = withoutEffect(entry);
    if (message === undefined) continue;
    const at = typeof fields === 'string' ? path : [...path, fields.indexOf(entry.text)];
    report.warning(spanOf(document, at), { code: 'without-effect', message });
  }
  return { from, at: locationOf(document.source, spanOf(document, path)) };
}

function withoutEffect(peer: Destination): string | undefined {
  if (namesLoopback(peer)) return '`accept` does not concern connections of this machine to itself: they are accepted';
  const isMulticast = peer.target.kind === 'group' && peer.target.group === 'multicast';
  return isMulticast ? 'nobody connects from a multicast address' : undefined;
}
