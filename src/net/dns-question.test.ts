import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeDnsQuestion, isDnsResponseTo } from './dns-question.ts';

const QUESTION = encodeDnsQuestion(0x1234, 'example.org');
const answer = (change: (bytes: Uint8Array) => void = () => {}): Uint8Array => {
  const bytes = QUESTION.slice();
  bytes[2] = 0x81;
  bytes[3] = 0x80;
  change(bytes);
  return bytes;
};

describe('encodeDnsQuestion()', () => {
  it('encodeDnsQuestion() asks for an address of the name', () => {
    const text = Buffer.from(QUESTION).toString('latin1');
    expect(text).toBe('\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01');
  });

  it.each(['', 'a..b', '.a', `${'a'.repeat(64)}.b`, Array.from({ length: 60 }, () => 'abcd').join('.')])(
    'encodeDnsQuestion() refuses %j',
    (name) => {
      expect(() => encodeDnsQuestion(1, name)).toThrow(RangeError);
    },
  );
});

describe('isDnsResponseTo()', () => {
  it('isDnsResponseTo() takes a response with the same question, in whatever case', () => {
    expect(isDnsResponseTo(QUESTION, answer())).toBe(true);
    expect(
      isDnsResponseTo(
        QUESTION,
        answer((bytes) => bytes.set([0x45], 13)),
      ),
    ).toBe(true);
    expect(isDnsResponseTo(QUESTION, Uint8Array.of(...answer(), 0xc0, 0x0c))).toBe(true);
  });

  it('isDnsResponseTo() takes a refusal without a question', () => {
    expect(isDnsResponseTo(QUESTION, answer((bytes) => bytes.set([0x81, 0x81, 0, 0], 2)).subarray(0, 12))).toBe(true);
  });

  it('isDnsResponseTo() takes no other message', () => {
    expect(isDnsResponseTo(QUESTION, QUESTION)).toBe(false);
    expect(
      isDnsResponseTo(
        QUESTION,
        answer((bytes) => bytes.set([0], 0)),
      ),
    ).toBe(false);
    expect(
      isDnsResponseTo(
        QUESTION,
        answer((bytes) => bytes.set([0x66], 13)),
      ),
    ).toBe(false);
    expect(isDnsResponseTo(QUESTION, answer().subarray(0, 20))).toBe(false);
  });

  it('isDnsResponseTo() takes any bytes, and random ones for nothing', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => !isDnsResponseTo(QUESTION, bytes)));
  });
});
