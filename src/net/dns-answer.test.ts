import { describe, expect, it } from 'vitest';
import { addressToBytes, formatAddress, parseAddress } from './address.ts';
import { addressesOf, isAnswerTo, MAX_CNAME_CHAIN } from './dns-answer.ts';
import {
  CLASS_IN,
  decodeDnsMessage,
  encodeDnsMessage,
  encodeDnsName,
  TYPE_A,
  TYPE_AAAA,
  TYPE_CNAME,
} from './dns-message.ts';

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
const question = { name: 'www.example.org', type: TYPE_A, class: CLASS_IN };

const address = (name: string, text: string, ttlSeconds = 60) => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  const type = parsed.family === 4 ? TYPE_A : TYPE_AAAA;
  return { name, type, class: CLASS_IN, ttlSeconds, data: addressToBytes(parsed) };
};
const alias = (name: string, target: string, ttlSeconds = 60) => ({
  name,
  type: TYPE_CNAME,
  class: CLASS_IN,
  ttlSeconds,
  data: encodeDnsName(target),
});

type Record = ReturnType<typeof address>;
const learned = (answers: readonly Record[], header: Partial<typeof HEADER> = {}) =>
  addressesOf(decodeDnsMessage(encodeDnsMessage({ ...HEADER, ...header, questions: [question], answers }))).map(
    ({ name, addresses }) => [name, ...addresses.map((one) => `${formatAddress(one.address)} ${one.ttlSeconds}`)],
  );

describe('addressesOf()', () => {
  it('gives each address of the name that was asked for', () => {
    expect(
      learned([address('www.example.org', '203.0.113.1', 5), address('www.example.org', '2001:db8::1', 0)]),
    ).toEqual([['www.example.org', '203.0.113.1 5', '2001:db8::1 0']]);
  });

  it('follows aliases in any order, and gives each link the shortest life behind it', () => {
    const answers = [
      address('c.example.net', '203.0.113.1', 30),
      alias('b.example.net', 'c.example.net', 10),
      alias('www.example.org', 'b.example.net', 20),
    ];
    expect(learned(answers)).toEqual([
      ['www.example.org', '203.0.113.1 10'],
      ['b.example.net', '203.0.113.1 10'],
      ['c.example.net', '203.0.113.1 30'],
    ]);
  });

  it('learns nothing from records of other names, from failures, from circles and from endless chains', () => {
    expect(learned([address('bank.example.com', '203.0.113.66')])).toEqual([]);
    expect(learned([alias('www.example.org', 'b'), address('bank.example.com', '203.0.113.66')])).toEqual([]);
    expect(learned([address('www.example.org', '203.0.113.1')], { rcode: 3 })).toEqual([]);
    expect(learned([alias('www.example.org', 'b'), alias('b', 'www.example.org')])).toEqual([]);
    const links = Array.from({ length: MAX_CNAME_CHAIN + 1 }, (_, i) => alias(`n${i}`, `n${i + 1}`));
    const chain = [alias('www.example.org', 'n0'), ...links];
    expect(learned([...chain, address(`n${MAX_CNAME_CHAIN + 1}`, '203.0.113.1')])).toEqual([]);
  });
});

describe('isAnswerTo()', () => {
  const query = { ...HEADER, isResponse: false, questions: [question] };
  const answer = { ...query, isResponse: true };

  it('holds for the same id and question', () => {
    expect(isAnswerTo(query, answer)).toBe(true);
    expect(isAnswerTo(query, { ...answer, rcode: 1, questions: [] })).toBe(true);
  });

  it('does not hold for another id, another question, no question, or a query', () => {
    expect(isAnswerTo(query, { ...answer, id: 8 })).toBe(false);
    expect(isAnswerTo(query, { ...answer, isResponse: false })).toBe(false);
    expect(isAnswerTo(query, { ...answer, opcode: 5 })).toBe(false);
    expect(isAnswerTo(query, { ...answer, questions: [] })).toBe(false);
    expect(isAnswerTo(query, { ...answer, questions: [question, question] })).toBe(false);
    for (const other of [{ name: 'bank.example.com' }, { type: TYPE_AAAA }, { class: 3 }])
      expect(isAnswerTo(query, { ...answer, questions: [{ ...question, ...other }] })).toBe(false);
  });
});
