/** What an answer says about addresses: pure, and only what belongs to the question (RFC 1034 section 3.6.2). */
import type { Address } from './address.ts';
import { CLASS_IN, type DnsMessage, type DnsQuestion, OPCODE_QUERY, RCODE_NOERROR } from './dns-message.ts';

/** Honest chains have two or three links; resolvers give up at some ten. */
export const MAX_CNAME_CHAIN = 16;

export interface NamedAddresses {
  readonly name: string;
  readonly addresses: readonly { readonly address: Address; readonly ttlSeconds: number }[];
}

const isSameQuestion = (a: DnsQuestion, b: DnsQuestion): boolean =>
  a.name === b.name && a.type === b.type && a.class === b.class;

/**
 * Whether an answer is one to that query: an answer, under the id that it was sent with, to the same question. A server that
 * could not read the query may leave the question out.
 */
export function isAnswerTo(
  query: Pick<DnsMessage, 'id' | 'opcode' | 'questions'>,
  answer: Pick<DnsMessage, 'id' | 'opcode' | 'questions' | 'isResponse' | 'rcode'>,
): boolean {
  if (!answer.isResponse || answer.id !== query.id || answer.opcode !== query.opcode) return false;
  if (answer.questions.length === 0) return answer.rcode !== RCODE_NOERROR;
  return (
    answer.questions.length === query.questions.length &&
    query.questions.every((question, i) => {
      const echoed = answer.questions[i];
      return echoed !== undefined && isSameQuestion(question, echoed);
    })
  );
}

/**
 * The addresses of the name that was asked for, and of each name on the chain of aliases to them. Records of other names say
 * nothing. An address holds as long as the shortest-lived record that leads to it.
 */
export function addressesOf(message: DnsMessage): readonly NamedAddresses[] {
  const { questions, answers, opcode, rcode } = message;
  const [question] = questions;
  if (question === undefined || question.class !== CLASS_IN || opcode !== OPCODE_QUERY || rcode !== RCODE_NOERROR)
    return [];
  const chain: { readonly name: string; readonly ttlSeconds: number }[] = [];
  let name = question.name;
  for (;;) {
    const alias = answers.find((record) => record.name === name && record.target !== undefined);
    chain.push({ name, ttlSeconds: alias?.ttlSeconds ?? Number.POSITIVE_INFINITY });
    if (alias?.target === undefined) break;
    const { target } = alias;
    if (chain.length > MAX_CNAME_CHAIN || chain.some((link) => link.name === target)) return [];
    name = target;
  }
  const found = answers.flatMap(({ name: owner, address, ttlSeconds }) =>
    owner === name && address !== undefined ? [{ address, ttlSeconds }] : [],
  );
  if (found.length === 0) return [];
  return chain.map((link, i) => {
    const limit = Math.min(...chain.slice(i).map(({ ttlSeconds }) => ttlSeconds));
    return {
      name: link.name,
      addresses: found.map(({ address, ttlSeconds }) => ({ address, ttlSeconds: Math.min(ttlSeconds, limit) })),
    };
  });
}
