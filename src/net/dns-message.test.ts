import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress } from './address.ts';
import {
  CLASS_IN,
  type DnsMessage,
  DnsMessageError,
  decodeDnsMessage,
  decodeDnsQuestions,
  encodeDnsMessage,
  encodeDnsName,
  MAX_DNS_MESSAGE_BYTES,
  MAX_NAME_BYTES_PER_MESSAGE,
  MAX_POINTERS_PER_MESSAGE,
  MAX_RECORDS,
  TYPE_A,
  TYPE_AAAA,
  TYPE_CNAME,
  withDnsId,
} from './dns-message.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));

/** As resolvers write it: an alias, an address, compressed names, EDNS behind. */
const ALIASED = bytes(`
  2d66 8180 0001 0002 0000 0001
  0377 7777 0765 7861 6d70 6c65 036f 7267 00 0001 0001
  c00c 0005 0001 0000 003c 0007 0465 6467 65c0 10
  c02d 0001 0001 0000 0005 0004 cb00 7107
  00 0029 04d0 0000 0000 0000`);
/** As glibc's getaddrinfo() asks for AAAA. */
const QUERY = bytes('3c1a 0100 0001 0000 0000 0000 0377 7777 0765 7861 6d70 6c65 036f 7267 00 001c 0001');

const HEADER = {
  id: 7,
  isResponse: true,
  opcode: 0,
  isAuthoritative: false,
  isTruncated: false,
  recursionDesired: true,
  recursionAvailable: true,
  rcode: 0,
};

describe('decodeDnsMessage()', () => {
  it('reads an alias and an address behind compressed names', () => {
    const { questions, answers, ...header } = decodeDnsMessage(ALIASED);
    expect(header).toEqual({ ...HEADER, id: 0x2d66 });
    expect(questions).toEqual([{ name: 'www.example.org', type: TYPE_A, class: CLASS_IN }]);
    expect(answers.map(({ name, target, ttlSeconds }) => [name, target, ttlSeconds])).toEqual([
      ['www.example.org', 'edge.example.org', 60],
      ['edge.example.org', undefined, 5],
    ]);
    expect(answers[1]?.address && formatAddress(answers[1].address)).toBe('203.0.113.7');
  });

  it('refuses names that lead forward, in a circle, or are too long', () => {
    const withName = (hex: string) => () => decodeDnsMessage(bytes(`0001 8000 0001 0000 0000 0000 ${hex} 0001 0001`));
    expect(withName('c00c')).toThrow(DnsMessageError);
    expect(withName('c00e 00')).toThrow(DnsMessageError);
    expect(withName('0161 c00c')).toThrow(DnsMessageError);
    expect(withName('4161 00')).toThrow(DnsMessageError);
    expect(withName(`${`3f${'61'.repeat(63)}`.repeat(4)}00`)).toThrow(DnsMessageError);
    expect(withName(`${`3f${'61'.repeat(63)}`.repeat(3)}3d${'61'.repeat(61)}00`)).not.toThrow();
  });

  it('takes a TTL with the highest bit for zero, and an address of a wrong length for none', () => {
    const answer = { name: 'a', type: TYPE_A, class: CLASS_IN, ttlSeconds: 0xffffffff, data: bytes('cb0071') };
    const message = encodeDnsMessage({ ...HEADER, questions: [], answers: [answer] });
    expect(decodeDnsMessage(message).answers[0]).toMatchObject({ ttlSeconds: 0 });
    expect(decodeDnsMessage(message).answers[0]?.address).toBeUndefined();
  });

  it('refuses more than one question', () => {
    const two = Buffer.concat([QUERY, QUERY.subarray(12)]);
    new DataView(two.buffer, two.byteOffset).setUint16(4, 2);
    expect(() => decodeDnsQuestions(two)).toThrow(DnsMessageError);
    expect(() => decodeDnsMessage(two)).toThrow(DnsMessageError);
  });

  /** Answers whose data is one pointer after the other, each to the one before, and whose names begin at the last of them. */
  function pointerChains(answers: number, pointers: number): Uint8Array {
    const parts: Buffer[] = [Buffer.from(bytes('0001 8180 0000 0000 0000 0000'))];
    parts[0]?.writeUInt16BE(answers, 6);
    let last = 12;
    const chain = Buffer.alloc(1 + 2 * pointers);
    for (let i = 0; i < pointers; i += 1) {
      const at = 12 + 11 + 1 + 2 * i;
      chain.writeUInt16BE(0xc000 | (i === 0 ? at - 1 : at - 2), 1 + 2 * i);
      last = at;
    }
    const head = Buffer.from(bytes('00 0010 0001 0000 0000 0000'));
    head.writeUInt16BE(chain.length, 9);
    parts.push(head, chain);
    for (let i = 1; i < answers; i += 1) {
      const record = Buffer.from(bytes('c000 0010 0001 0000 0000 0000'));
      record.writeUInt16BE(0xc000 | last, 0);
      parts.push(record);
    }
    return Buffer.concat(parts);
  }

  it('follows no more pointers than a message of honest names has, however many names lead along them', () => {
    const work = { pointers: 0, bytes: 0 };
    const attack = pointerChains(MAX_RECORDS, 8000);
    expect(attack.length).toBeLessThan(30_000);
    expect(() => decodeDnsMessage(attack, work)).toThrow(DnsMessageError);
    expect(work.pointers).toBeLessThanOrEqual(MAX_POINTERS_PER_MESSAGE + 1);
    expect(decodeDnsMessage(pointerChains(MAX_RECORDS, 1)).answers).toHaveLength(MAX_RECORDS);
  });

  it('reads no more bytes of names than a message without compression could have', () => {
    const long = encodeDnsName(Array.from({ length: 4 }, () => 'a'.repeat(62)).join('.'));
    const question = Buffer.concat([long, bytes('0001 0001')]);
    const head = Buffer.from(bytes('0001 8180 0001 0000 0000 0000'));
    head.writeUInt16BE(MAX_RECORDS, 6);
    const alias = bytes('c00c 0005 0001 0000 0000 0002 c00c');
    const work = { pointers: 0, bytes: 0 };
    const attack = Buffer.concat([head, question, ...Array.from({ length: MAX_RECORDS }, () => alias)]);
    expect(attack.length).toBeLessThan(15_000);
    expect(() => decodeDnsMessage(attack, work)).toThrow(DnsMessageError);
    expect(work.bytes).toBeLessThanOrEqual(MAX_NAME_BYTES_PER_MESSAGE + 64);
  });

  it('throws DnsMessageError and nothing else, whatever the bytes', () => {
    const attempt = (input: Uint8Array): void => {
      try {
        decodeDnsMessage(input);
        decodeDnsQuestions(input);
      } catch (error) {
        expect(error).toBeInstanceOf(DnsMessageError);
      }
    };
    for (let length = 0; length < ALIASED.length; length += 1) attempt(ALIASED.subarray(0, length));
    expect(() => decodeDnsMessage(ALIASED.subarray(0, 40))).toThrow(DnsMessageError);
    const changed = fc.record({ at: fc.nat(ALIASED.length - 1), to: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(changed, { maxLength: 6 }), (changes) => {
        const copy = ALIASED.slice();
        for (const { at, to } of changes) copy[at] = to;
        attempt(copy);
      }),
      { numRuns: 2000 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), attempt), { numRuns: 2000 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (tail) => attempt(Buffer.concat([ALIASED.subarray(0, 12), tail]))),
      { numRuns: 2000 },
    );
  });
});

describe('encodeDnsMessage()', () => {
  const label = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((octets) =>
    [...octets]
      .map((octet) => {
        const lower = octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet;
        if (lower === 0x2e || lower === 0x5c) return `\\${String.fromCharCode(lower)}`;
        return lower > 0x20 && lower < 0x7f ? String.fromCharCode(lower) : `\\${String(lower).padStart(3, '0')}`;
      })
      .join(''),
  );
  const name = fc.array(label, { maxLength: 8 }).map((labels) => labels.join('.'));
  const record = fc.record({
    name,
    type: fc.constantFrom(TYPE_A, TYPE_AAAA, 16, 65),
    class: fc.constant(CLASS_IN),
    ttlSeconds: fc.nat(0x7fffffff),
    data: fc.uint8Array({ maxLength: 40 }),
  });

  it('is read back as it was written', () => {
    fc.assert(
      fc.property(name, fc.array(record, { maxLength: 5 }), fc.nat(0xffff), (asked, answers, id) => {
        const parts = { ...HEADER, id, questions: [{ name: asked, type: TYPE_A, class: CLASS_IN }], answers };
        const { answers: read, ...rest } = decodeDnsMessage(encodeDnsMessage(parts));
        expect(rest).toEqual({ ...HEADER, id, questions: parts.questions });
        expect(read).toMatchObject(answers);
      }),
    );
  });

  it('writes whatever was read, unless it is longer than a message, and the same is read again', () => {
    const again = (input: Uint8Array): void => {
      let message: DnsMessage;
      try {
        message = decodeDnsMessage(input);
      } catch (error) {
        expect(error).toBeInstanceOf(DnsMessageError);
        return;
      }
      const { questions, answers } = message;
      for (const { name } of [...questions, ...answers]) expect(encodeDnsName(name).length).toBeLessThanOrEqual(255);
      const plainBytes =
        12 +
        questions.reduce((sum, { name }) => sum + encodeDnsName(name).length + 4, 0) +
        answers.reduce((sum, { name, data }) => sum + encodeDnsName(name).length + 10 + data.length, 0);
      if (plainBytes > MAX_DNS_MESSAGE_BYTES) return;
      const written = encodeDnsMessage(message);
      expect(written).toHaveLength(plainBytes);
      // What a CNAME leads to may have been a pointer, which leads elsewhere now.
      if (answers.some(({ type }) => type === TYPE_CNAME)) return;
      const read = decodeDnsMessage(written);
      expect({ ...read, answers: read.answers.map(({ data, ...rest }) => ({ ...rest, data: [...data] })) }).toEqual({
        ...message,
        answers: answers.map(({ data, ...rest }) => ({ ...rest, data: [...data] })),
      });
    };
    const changed = fc.record({ at: fc.nat(ALIASED.length - 1), to: fc.nat(255) });
    for (const sample of [ALIASED, QUERY])
      fc.assert(
        fc.property(fc.array(changed, { maxLength: 4 }), fc.uint8Array({ maxLength: 60 }), (changes, tail) => {
          const copy = Buffer.concat([sample, tail]);
          for (const { at, to } of changes) copy[at % copy.length] = to;
          again(copy);
        }),
        { numRuns: 3000 },
      );
  });

  it('refuses text that is no name', () => {
    for (const text of ['a..b', '.', 'a'.repeat(64), `${'a'.repeat(63)}.`.repeat(4).slice(0, -1), 'a\\', 'ä\u0100'])
      expect(() => encodeDnsName(text)).toThrow(RangeError);
    expect([...encodeDnsName('')]).toEqual([0]);
  });
});

describe('withDnsId()', () => {
  it('changes the id and not one byte more', () => {
    const changed = withDnsId(ALIASED, 0xbeef);
    expect(Buffer.from(changed.subarray(0, 2)).toString('hex')).toBe('beef');
    expect(changed.subarray(2)).toEqual(ALIASED.subarray(2));
    expect(ALIASED[0]).toBe(0x2d);
  });
});
