/**
 * Destinations as set elements. nft refuses elements that overlap, people write them all the time: everything is cut into
 * disjoint pieces first, and pieces that touch are joined again.
 */
import type { MonotonicMs } from '../../net/clock.ts';
import type { Interval, SetElement } from './ruleset.ts';

const FIRST_PORT = 0n;
const LAST_PORT = 65535n;
export const EVERY_PORT: Interval = { first: FIRST_PORT, last: LAST_PORT };

/** What one entry covers: addresses, one protocol, ports; `expiresAtMs` where it holds only for a time. */
export interface ServiceBox {
  readonly address: Interval;
  readonly protocol: number;
  readonly ports: readonly Interval[];
  readonly expiresAtMs?: MonotonicMs;
}

export interface AddressInterval extends Interval {
  readonly expiresAtMs?: MonotonicMs;
}

interface Piece<T> extends Interval {
  readonly content: T;
}

/** Cuts overlapping intervals at every end; `join` makes one content of all that cover a piece. */
function cut<T extends Interval, R>(items: readonly T[], join: (covering: readonly T[]) => R): Piece<R>[] {
  const edges = [...new Set(items.flatMap((item) => [item.first, item.last + 1n]))].sort((a, b) =>
    a < b ? -1 : a > b ? 1 : 0,
  );
  const byStart = items.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const pieces: Piece<R>[] = [];
  let next = 0;
  let active: T[] = [];
  for (const [i, edge] of edges.entries()) {
    const end = edges[i + 1];
    if (end === undefined) break;
    active = active.filter((item) => item.last >= edge);
    for (let item = byStart[next]; item !== undefined && item.first === edge; item = byStart[next]) {
      active.push(item);
      next++;
    }
    if (active.length > 0) pieces.push({ first: edge, last: end - 1n, content: join(active) });
  }
  return pieces;
}

/** Joins neighbours that touch and hold the same. */
function rejoin<T>(pieces: readonly Piece<T>[], key: (content: T) => string): Piece<T>[] {
  const joined: (Piece<T> & { key: string })[] = [];
  for (const piece of pieces) {
    const last = joined.at(-1);
    const text = key(piece.content);
    if (last !== undefined && last.last + 1n === piece.first && last.key === text) {
      joined[joined.length - 1] = { ...last, last: piece.last };
    } else joined.push({ ...piece, key: text });
  }
  return joined.map(({ first, last, content }) => ({ first, last, content }));
}

/** The latest expiry; none as soon as one of them holds for ever. */
function latestExpiry(items: readonly { readonly expiresAtMs?: number }[]): number | undefined {
  let latest = 0;
  for (const { expiresAtMs } of items) {
    if (expiresAtMs === undefined) return undefined;
    latest = Math.max(latest, expiresAtMs);
  }
  return latest;
}

const withExpiry = (key: SetElement['key'], expiresAtMs: number | undefined): SetElement =>
  expiresAtMs === undefined ? { key } : { key, expiresAtMs };

export function addressElements(addresses: readonly AddressInterval[]): SetElement[] {
  return rejoin(cut(addresses, latestExpiry), String).map(({ first, last, content }) =>
    withExpiry([{ first, last }], content),
  );
}

type PortPiece = Piece<number | undefined>;

function portPieces(boxes: readonly ServiceBox[]): PortPiece[] {
  const ports = boxes.flatMap((box) =>
    box.ports.map(({ first, last }) =>
      box.expiresAtMs === undefined ? { first, last } : { first, last, expiresAtMs: box.expiresAtMs },
    ),
  );
  return rejoin(cut(ports, latestExpiry), String);
}

const portsKey = (ports: readonly PortPiece[]): string => ports.map((p) => `${p.first}-${p.last}@${p.content}`).join();

function byProtocol(boxes: readonly ServiceBox[]): [protocol: bigint, boxes: ServiceBox[]][] {
  const groups = new Map<number, ServiceBox[]>();
  for (const box of boxes) {
    const group = groups.get(box.protocol);
    if (group === undefined) groups.set(box.protocol, [box]);
    else group.push(box);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([protocol, group]) => [BigInt(protocol), group]);
}

/** Elements `address . protocol . port`. */
export function serviceElements(boxes: readonly ServiceBox[]): SetElement[] {
  const elements: SetElement[] = [];
  for (const [protocol, group] of byProtocol(boxes)) {
    const pieces = rejoin(
      cut(
        group.map((box) => ({ ...box, first: box.address.first, last: box.address.last })),
        portPieces,
      ),
      portsKey,
    );
    for (const piece of pieces) {
      for (const port of piece.content) {
        const key = [
          { first: piece.first, last: piece.last },
          { first: protocol, last: protocol },
          { first: port.first, last: port.last },
        ];
        elements.push(withExpiry(key, port.content));
      }
    }
  }
  return elements;
}

/** Elements `protocol . port` for entries that name no address. */
export function portElements(boxes: readonly Omit<ServiceBox, 'address'>[]): SetElement[] {
  const anywhere = boxes.map((box) => ({ ...box, address: { first: 0n, last: 0n } }));
  return serviceElements(anywhere).map(({ key }) => ({ key: key.slice(1) }));
}

/** The same in single values, for sets without intervals: of what was made from single values. */
export function singleElements(elements: readonly SetElement[]): SetElement[] {
  return elements.flatMap(({ key, expiresAtMs }) =>
    key
      .reduce<SetElement['key'][]>(
        (keys, part) => keys.flatMap((head) => values(part).map((one) => [...head, one])),
        [[]],
      )
      .map((single) => withExpiry(single, expiresAtMs)),
  );
}

function values(part: Interval | string): (Interval | string)[] {
  if (typeof part === 'string') return [part];
  const singles: Interval[] = [];
  for (let value = part.first; value <= part.last; value++) singles.push({ first: value, last: value });
  return singles;
}
