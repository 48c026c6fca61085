import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dnsFailure, queryForm } from './dns-failure.ts';
import {
  CLASS_IN,
  DNS_HEADER_BYTES,
  decodeDnsMessage,
  RCODE_FORMERR,
  RCODE_NOTIMP,
  RCODE_SERVFAIL,
  TYPE_AAAA,
} from './dns-message.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));
const WWW = '0377 7777 0765 7861 6d70 6c65 036f 7267 00';
/** As glibc's getaddrinfo() asks for AAAA. */
const QUERY = bytes(`3c1a 0100 0001 0000 0000 0000 ${WWW} 001c 0001`);
const WITH_EDNS = bytes(`3c1a 0100 0001 0000 0000 0001 ${WWW} 001c 0001 00 0029 04d0 0000 0000 0000`);
const LABEL = `3f${'61'.repeat(63)}`;

const refusedWith = (rcode: number) => ({ kind: 'refused', rcode });

describe('queryForm()', () => {
  it('takes one question in plain words, whatever stands behind it', () => {
    expect(queryForm(QUERY)).toEqual({ kind: 'query' });
    expect(queryForm(WITH_EDNS)).toEqual({ kind: 'query' });
    expect(
      queryForm(bytes(`0001 0100 0001 0000 0000 0000 ${LABEL.repeat(3)}3d${'61'.repeat(61)}00 0001 0001`)),
    ).toEqual({
      kind: 'query',
    });
  });

  it.each([
    ['no question', '0001 0100 0000 0000 0000 0000', RCODE_FORMERR],
    ['two questions', `0001 0100 0002 0000 0000 0000 ${WWW} 0001 0001 ${WWW} 001c 0001`, RCODE_FORMERR],
    ['256 questions', `0001 0100 0100 0000 0000 0000 ${WWW} 0001 0001 ${'c00c 0001 0001'.repeat(255)}`, RCODE_FORMERR],
    ['a name that is a pointer into the header', '0001 0100 0001 0000 0000 0000 c00b 0001 0001', RCODE_FORMERR],
    ['a name that ends in one', '0001 0100 0001 0000 0000 0000 0161 c00b 0001 0001', RCODE_FORMERR],
    ['a name that leads to itself', '0001 0100 0001 0000 0000 0000 c00c 0001 0001', RCODE_FORMERR],
    ['a name of 256 bytes', `0001 0100 0001 0000 0000 0000 ${LABEL.repeat(3)}3e${'61'.repeat(62)}00 0001 0001`, 1],
    ['a label of an unknown kind', '0001 0100 0001 0000 0000 0000 4161 00 0001 0001', RCODE_FORMERR],
    ['a question cut off', `0001 0100 0001 0000 0000 0000 ${WWW} 0001`, RCODE_FORMERR],
    ['one that was truncated', `0001 0300 0001 0000 0000 0000 ${WWW} 0001 0001`, RCODE_FORMERR],
    ['an update', `0001 2800 0001 0000 0000 0000 ${WWW} 0001 0001`, RCODE_NOTIMP],
    ['an opcode nobody knows', `0001 7900 0001 0000 0000 0000 ${WWW} 0001 0001`, RCODE_NOTIMP],
  ])('refuses %s', (_, hex, rcode) => {
    expect(queryForm(bytes(hex))).toEqual(refusedWith(rcode));
  });

  it('gives no answer to answers, nor to what has no header', () => {
    expect(queryForm(bytes(`0001 8180 0001 0000 0000 0000 ${WWW} 0001 0001`))).toEqual({ kind: 'ignored' });
    expect(queryForm(QUERY.subarray(0, DNS_HEADER_BYTES - 1))).toEqual({ kind: 'ignored' });
    expect(dnsFailure(QUERY.subarray(0, DNS_HEADER_BYTES - 1), RCODE_SERVFAIL)).toBeUndefined();
    expect(dnsFailure(bytes('0001 8180 0000 0000 0000 0000'), RCODE_SERVFAIL)).toBeUndefined();
  });
});

describe('dnsFailure()', () => {
  const failed = (query: Uint8Array, rcode: number) => {
    const failure = dnsFailure(query, rcode);
    return failure === undefined ? undefined : decodeDnsMessage(failure);
  };

  it('says the code under the id and question of the query, and nothing of what was behind', () => {
    for (const query of [QUERY, WITH_EDNS])
      expect(failed(query, RCODE_SERVFAIL)).toEqual({
        id: 0x3c1a,
        isResponse: true,
        opcode: 0,
        isAuthoritative: false,
        isTruncated: false,
        recursionDesired: true,
        recursionAvailable: true,
        rcode: RCODE_SERVFAIL,
        questions: [{ name: 'www.example.org', type: TYPE_AAAA, class: CLASS_IN }],
        answers: [],
      });
  });

  it('keeps the capitals of the question, by which some tell an answer from a forged one', () => {
    const mixed = Uint8Array.from(QUERY, (byte, i) => (i === 14 ? 0x57 : byte));
    expect(dnsFailure(mixed, RCODE_SERVFAIL)?.subarray(DNS_HEADER_BYTES)).toEqual(mixed.subarray(DNS_HEADER_BYTES));
  });

  it('says no question where none can be said again', () => {
    const many = bytes(`0001 0100 0100 0000 0000 0000 ${LABEL.repeat(3)}00 0001 0001 ${'c00c 0001 0001'.repeat(255)}`);
    expect(many.length).toBeLessThan(1800);
    expect(failed(many, RCODE_FORMERR)).toMatchObject({ id: 1, rcode: RCODE_FORMERR, questions: [], answers: [] });
    expect(failed(bytes('0001 0100 0001 0000 0000 0000 c00b 0001 0001'), 1)).toMatchObject({ questions: [] });
  });

  it('is a message no longer than the query, whatever the query is', () => {
    const attempt = (query: Uint8Array, rcode: number): void => {
      const form = queryForm(query);
      const failure = dnsFailure(query, form.kind === 'refused' ? form.rcode : rcode);
      expect(failure === undefined).toBe(form.kind === 'ignored');
      if (failure === undefined) return;
      expect(failure.length).toBeLessThanOrEqual(query.length);
      expect(decodeDnsMessage(failure)).toMatchObject({ isResponse: true, answers: [] });
      expect(failure.subarray(0, 2)).toEqual(query.subarray(0, 2));
    };
    const changed = fc.record({ at: fc.nat(WITH_EDNS.length - 1), to: fc.nat(255) });
    fc.assert(
      fc.property(
        fc.array(changed, { maxLength: 6 }),
        fc.nat(WITH_EDNS.length),
        fc.nat(0xffff),
        (changes, end, rcode) => {
          const copy = WITH_EDNS.slice(0, end);
          for (const { at, to } of changes) copy[at] = to;
          attempt(copy, rcode);
        },
      ),
      { numRuns: 3000 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (query) => attempt(query, RCODE_SERVFAIL)));
    const header = fc.tuple(fc.nat(255), fc.nat(0x7f), fc.nat(255), fc.nat(3), fc.nat(255));
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 600 }), ([id, high, low, countHigh, count], tail) => {
        attempt(Uint8Array.from([0, id, high, low, countHigh, count, 0, 0, 0, 0, 0, 0, ...tail]), RCODE_SERVFAIL);
      }),
      { numRuns: 3000 },
    );
  });
});
