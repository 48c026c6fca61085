import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeAttribute, encodeNested } from './attribute.ts';
import { concatBytes, u64Be } from './bytes.ts';
import { type CapturedName, capturedMessage } from './captured-messages.ts';
import { type ConntrackEntry, decodeConntrackEntry } from './conntrack.ts';
import { type ConntrackCounts, newConntrackCounts, readConntrackCounts } from './conntrack-counts.ts';
import { DecodeError } from './errors.ts';

const NAMES: readonly CapturedName[] = [
  'conntrackTcp',
  'conntrackUdpV6',
  'conntrackIcmp',
  'conntrackIcmpV6',
  'conntrackEventNew',
  'conntrackEventUpdate',
  'conntrackEventDestroy',
];
/** What is read into: what was in it before must not show. */
const USED: ConntrackCounts = newConntrackCounts();

/** `undefined` for DecodeError; any other error is let through. */
function outcomeOf<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** With bytes around the body that belong to others. */
function counted(body: Uint8Array): ConntrackCounts {
  const around = new Uint8Array(body.length + 40).fill(0xff);
  around.set(body, 16);
  Object.assign(USED, { id: 99, mark: 99, status: 99, isCounted: true });
  Object.assign(USED.original, { packets: 99, bytes: 99 });
  readConntrackCounts(around, 16, 16 + body.length, USED);
  return structuredClone(USED);
}

function inShort({ id, mark, status, counters }: ConntrackEntry): ConntrackCounts {
  const direction = (of: { readonly packets: bigint; readonly bytes: bigint }) => ({
    packets: Number(of.packets),
    bytes: Number(of.bytes),
  });
  const none = { packets: 0, bytes: 0 };
  if (counters === undefined) return { id, mark, status, isCounted: false, original: none, reply: none };
  const { original, reply } = counters;
  return { id, mark, status, isCounted: true, original: direction(original), reply: direction(reply) };
}

/** Of one direction alone they mean nothing. */
const withoutUncounted = (counts: ConntrackCounts): Partial<ConntrackCounts> =>
  counts.isCounted ? counts : { id: counts.id, mark: counts.mark, status: counts.status, isCounted: false };

function expectAgreement(name: CapturedName, body: Uint8Array): boolean {
  const whole = outcomeOf(() => decodeConntrackEntry({ ...capturedMessage(name), body }));
  const short = outcomeOf(() => counted(body));
  if (whole === undefined) return false;
  // Whatever the full decoder reads, this one does, and the same.
  if (short === undefined) throw new Error('the full decoder reads what this one does not');
  expect(withoutUncounted(short)).toEqual(withoutUncounted(inShort(whole)));
  return true;
}

describe('readConntrackCounts', () => {
  it.each(NAMES)('readConntrackCounts reads of %s what the full decoder does', (name) => {
    expect(expectAgreement(name, capturedMessage(name).body)).toBe(true);
  });

  it('readConntrackCounts reads the counters of a connection', () => {
    expect(counted(capturedMessage('conntrackTcp').body)).toMatchObject({
      isCounted: true,
      original: { packets: 2, bytes: 112 },
      reply: { packets: 1, bytes: 60 },
    });
  });

  it.each(NAMES)('readConntrackCounts agrees with the full decoder on %s with bytes overwritten', (name) => {
    const { body: captured } = capturedMessage(name);
    let readable = 0;
    const change = fc.tuple(fc.nat(captured.length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const body = captured.slice();
        for (const [offset, byte] of changes) body[offset] = byte;
        if (expectAgreement(name, body)) readable += 1;
      }),
      { numRuns: 500 },
    );
    expect(readable).toBeGreaterThan(50);
  });

  it('readConntrackCounts agrees with the full decoder on further, repeated and short attributes', () => {
    const { body: captured } = capturedMessage('conntrackTcp');
    const number = fc.oneof(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map(u64Be), fc.uint8Array({ maxLength: 9 }));
    const counter = fc.tuple(fc.integer({ min: 0, max: 3 }), number).map(([type, of]) => encodeAttribute(type, of));
    const nest = fc
      .tuple(fc.constantFrom(9, 10), fc.array(counter, { maxLength: 3 }))
      .map(([type, of]) => encodeNested(type, of));
    const plain = fc
      .tuple(fc.constantFrom(3, 8, 12, 18, 40), fc.uint8Array({ maxLength: 6 }))
      .map(([type, of]) => encodeAttribute(type, of));
    let readable = 0;
    fc.assert(
      fc.property(fc.array(fc.oneof(nest, plain), { maxLength: 4 }), (more) => {
        if (expectAgreement('conntrackTcp', concatBytes([captured, ...more]))) readable += 1;
      }),
      { numRuns: 2000 },
    );
    expect(readable).toBeGreaterThan(200);
  });

  it('readConntrackCounts gives only DecodeError for a body cut off at any length', () => {
    const { body } = capturedMessage('conntrackTcp');
    const read = Array.from({ length: body.length }, (_, length) => outcomeOf(() => counted(body.slice(0, length))));
    expect(read.slice(0, 4)).toEqual([undefined, undefined, undefined, undefined]);
  });
});
