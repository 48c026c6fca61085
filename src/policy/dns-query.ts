/** Which flows are DNS queries to the configured resolvers (resolv.conf(5)): they follow their application. */
import { type Address, equalAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { EffectivePolicy } from './effective-policy.ts';
import type { Facts } from './facts.ts';
import { rulesInForce, speaksOfDns } from './implied-rule.ts';
import type { Destination, SystemDefault, Via } from './model.ts';

export const DNS_PORT = 53;
export const DNS_PROTOCOLS: readonly number[] = [IPPROTO_TCP, IPPROTO_UDP];

export const loopbackResolvers = ({ loopbackResolvers: stubs = [] }: Facts): readonly Address[] => stubs;

export const hasLoopbackResolver = (facts: Facts): boolean => loopbackResolvers(facts).length > 0;

/**
 * A query that this machine's programs send; a container's are not for us to answer. The resolver's own address says nothing
 * about the way: it is the application's, and that uplink's resolvers answer.
 */
export function isQuery(facts: Facts, { protocol, destination, destinationPort, loopback, forwarded }: Flow): boolean {
  if (forwarded === true || destinationPort !== DNS_PORT || !DNS_PROTOCOLS.includes(protocol)) return false;
  const resolvers = loopback ? loopbackResolvers(facts) : facts.resolvers;
  return resolvers.some((resolver) => equalAddress(resolver, destination));
}

/** A query to a resolver that is not on loopback, whoever sends it: by rules, it is decided as any flow but for names. */
export const asksResolver = ({ resolvers }: Facts, { protocol, destination, destinationPort }: Flow): boolean =>
  destinationPort === DNS_PORT &&
  DNS_PROTOCOLS.includes(protocol) &&
  resolvers.some((resolver) => equalAddress(resolver, destination));

/**
 * An answer never decides who may be asked: a name that comes to point at the resolver takes no query with it, and no query
 * waits for a name. Where port 53 of a name is stated, it is meant.
 */
export const speaksOfQueries = (entry: Destination): boolean => entry.target.kind !== 'name' || speaksOfDns(entry);

const saysWhereQueriesGo = ({ target, ports, protocol }: Destination): boolean =>
  (target.kind === 'any' || (target.kind === 'group' && target.group === 'internet')) &&
  (protocol === undefined || protocol === 'udp') &&
  (ports === undefined || ports.some(({ first, last }) => first <= DNS_PORT && DNS_PORT <= last));

/** Stands for a resolver whose address nobody knows yet: the implied rule needs one. */
const SOME_RESOLVER: Address = { family: 4, value: 0n };

/**
 * The way of queries to a resolver on loopback, which needs no permission: that of the first rule that would hold for a
 * resolver on the internet. Undefined: the system's.
 */
export function queryVia(policy: EffectivePolicy | undefined, systemDefault: SystemDefault): Via | undefined {
  if (policy === undefined) return systemDefault.via;
  const own = policy.via?.value;
  for (const { rule, index } of rulesInForce(policy, [SOME_RESOLVER])) {
    if (index === 'implied' || rule.to.some(saysWhereQueriesGo)) return rule.do === 'allow' ? (rule.via ?? own) : own;
  }
  return own ?? (policy.otherwise === undefined ? systemDefault.via : undefined);
}

/** Its answers are to be learned. */
export const namesHosts = ({ rules }: EffectivePolicy): boolean =>
  rules.some(({ to }) => to.some(({ target }) => target.kind === 'name'));
