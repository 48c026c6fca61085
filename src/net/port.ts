/** An inclusive range of TCP or UDP ports, 0..65535. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

const LAST_PORT = 65535;
const PORT_RANGE = /^(0|[1-9]\d{0,4})(?:-(0|[1-9]\d{0,4}))?$/;

/** `80`, `80-90` or `*` (every port). No leading zeros, no space; a range that runs backwards is undefined. */
export function parsePortRange(text: string): PortRange | undefined {
  if (text === '*') return { first: 0, last: LAST_PORT };
  const match = PORT_RANGE.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= LAST_PORT ? { first, last } : undefined;
}

/** The shortest text that `parsePortRange` reads back. */
export function formatPortRange(range: PortRange): string {
  if (range.first === 0 && range.last === LAST_PORT) return '*';
  return range.first === range.last ? `${range.first}` : `${range.first}-${range.last}`;
}

/** Whether a port lies in the range, ends included. */
export function portInRange(range: PortRange, port: number): boolean {
  return range.first <= port && port <= range.last;
}
