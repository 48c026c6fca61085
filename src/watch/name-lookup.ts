/** One name's addresses from the configured resolvers (resolv.conf(5)), with what the answer says about their lifetime. */
import { promises as dns } from 'node:dns';
import { type Address, parseAddress } from '../net/address.ts';

/** Answers with more are cut: nft sets and snapshots grow with them. */
export const MAX_ADDRESSES_PER_ANSWER = 256;
const QUERY_TIMEOUT_MS = 1500;
const QUERY_TRIES = 2;

export interface AnsweredAddress {
  readonly address: Address;
  readonly ttlSeconds: number;
}

/** `none`: an authoritative "there is no such name or address". `failed`: nobody answered, or with an error. */
export type NameAnswer =
  | { readonly kind: 'addresses'; readonly addresses: readonly AnsweredAddress[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'failed'; readonly because: string };

export type LookUp = (name: string) => Promise<NameAnswer>;

type FamilyAnswer = { readonly records: readonly AnsweredAddress[] } | { readonly failed: string };

/** A and AAAA at once; one family's failure does not spoil the other's answer. Never rejects. */
export async function lookUpName(name: string): Promise<NameAnswer> {
  // A new resolver reads resolv.conf anew: it changes with the network.
  const resolver = new dns.Resolver({ timeout: QUERY_TIMEOUT_MS, tries: QUERY_TRIES });
  // The dot at the end keeps search domains out.
  const [v4, v6] = await Promise.all([
    family(resolver.resolve4(`${name}.`, { ttl: true })),
    family(resolver.resolve6(`${name}.`, { ttl: true })),
  ]);
  const addresses = [...('records' in v4 ? v4.records : []), ...('records' in v6 ? v6.records : [])];
  if (addresses.length > 0) return { kind: 'addresses', addresses: addresses.slice(0, MAX_ADDRESSES_PER_ANSWER) };
  const failure = 'failed' in v4 ? v4.failed : 'failed' in v6 ? v6.failed : undefined;
  return failure === undefined ? { kind: 'none' } : { kind: 'failed', because: failure };
}

async function family(query: Promise<{ readonly address: string; readonly ttl: number }[]>): Promise<FamilyAnswer> {
  try {
    const records = await query;
    return {
      records: records.flatMap(({ address, ttl }) => {
        const parsed = parseAddress(address);
        return parsed === undefined ? [] : [{ address: parsed, ttlSeconds: ttl }];
      }),
    };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return code === 'ENOTFOUND' || code === 'ENODATA' ? { records: [] } : { failed: code };
  }
}
