/**
 * What containers with a network namespace of their own send through this machine. The device by which it comes in tells whose
 * it is: a chain at that device marks it, since behind a bridge nobody can see the device any more. Once it is clear whether
 * it goes on, and before the route is looked up, the same rules as for programs decide. Where no policy names a container with
 * such a device these chains do not exist.
 */
import type { ForwardedDevice } from '../policy/facts.ts';
import { forwardedPolicies } from '../policy/forwarded-policy.ts';
import { type AppPart, CHAIN } from './compile-app.ts';
import { beginsExpected } from './compile-expected.ts';
import type { CompiledIdentity, IdentityInput } from './compile-identity.ts';
import { followsConnection, isHousekeeping } from './compile-output.ts';
import type { Passes } from './compile-sources.ts';
import { contentHash } from './content-name.ts';
import { accept, goto, is, isNot, rule, setBits, vmap } from './nft/expressions.ts';
import { ctBits, hook, isDecided, metaBits } from './nft/marks.ts';
import type { Chain, MapElement, NftMap } from './nft/ruleset.ts';
import {
  APP_UNKNOWN,
  forwardedMark,
  MARK_APP,
  MARK_FOREIGN,
  MARK_FORWARDED,
  MARK_OURS,
  MARK_WAY,
  PRIORITY_GUARD,
  PRIORITY_OUTPUT,
} from './reserved.ts';

/** NFT_NETDEVICE_MAX of net/netfilter/nf_tables_api.c: one chain takes no more. */
const MAX_DEVICES_PER_CHAIN = 256;

/** Devices of one application's containers. `part` is absent where nothing tells which application it is: all is refused. */
interface Forwarder {
  readonly number: number;
  readonly part?: AppPart;
  readonly devices: readonly ForwardedDevice[];
}

function forwarders({ facts, index, parts, appIds }: IdentityInput): Forwarder[] {
  const found = new Map<number, Forwarder>();
  for (const device of facts.forwarded ?? []) {
    const [policy, other] = forwardedPolicies(index, device, facts);
    if (policy === undefined) continue;
    const part = other === undefined ? parts.get(policy) : undefined;
    const own = part === undefined ? undefined : appIds.get(policy.app);
    const number = own ?? APP_UNKNOWN;
    const devices = [...(found.get(number)?.devices ?? []), device];
    found.set(number, { number, ...(own !== undefined && part !== undefined && { part }), devices });
  }
  return [...found.values()].sort((a, b) => a.number - b.number);
}

export const governsForwarded = (input: IdentityInput): boolean => forwarders(input).length > 0;

/** Applications whose rules are reached from here. */
export const forwardedParts = (input: IdentityInput): readonly AppPart[] =>
  forwarders(input).flatMap(({ part }) => part ?? []);

/** Named after the devices' indices as well: a new device of an old name needs a new hook. */
function ingressChains({ number, devices }: Forwarder): Chain[] {
  const chains: Chain[] = [];
  for (let first = 0; first < devices.length; first += MAX_DEVICES_PER_CHAIN) {
    const some = devices.slice(first, first + MAX_DEVICES_PER_CHAIN);
    const content = some.map(({ device, deviceIndex }) => `${deviceIndex} ${device}`).join('\n');
    chains.push({
      name: `container_${number}_${contentHash(content)}`,
      comment: 'what comes from containers: later only the mark tells by which device it came',
      hook: { ...hook('filter', 'ingress', PRIORITY_OUTPUT), devices: some.map(({ device }) => device) },
      rules: [rule(setBits('meta mark', (MARK_WAY | MARK_APP) >>> 0, forwardedMark(number)))],
    });
  }
  return chains;
}

const numberChain = (number: number): string => `from_container_${number}`;

/** The number is known here, so that it can be joined with the bits of others: nobody has to be asked to keep them. */
const joined = ({ number, part }: Forwarder): Chain => ({
  name: numberChain(number),
  rules: [rule(setBits('ct mark', ~MARK_FOREIGN >>> 0, number)), rule(goto(part?.chain.name ?? CHAIN.deny))],
});

const rulesOf = ({ number }: Forwarder): MapElement => ({
  key: BigInt(forwardedMark(number)),
  data: { kind: 'verdict', verdict: { kind: 'goto', chain: numberChain(number) } },
});

/** What passes does so without our number in its mark. */
export function compileForwarded(input: IdentityInput, { answer }: Passes): CompiledIdentity {
  const all = forwarders(input);
  if (all.length === 0) return { maps: [], chains: [] };
  const rules: NftMap = {
    name: 'rules_of_container',
    key: 'mark',
    data: 'verdict',
    elements: all.map(rulesOf),
  };
  const forwarded: Chain = {
    name: 'forwarded',
    comment: 'what a container sends, for others or for this machine: a decided flow takes its way, others are decided',
    hook: hook('filter', 'prerouting', PRIORITY_OUTPUT),
    rules: [
      rule(isNot(metaBits(MARK_FORWARDED), MARK_FORWARDED), accept),
      // Somebody connects to the container: whatever was decided about that says nothing about the way back.
      ...followsConnection(answer),
      beginsExpected,
      rule(vmap(ctBits(MARK_WAY), 'way_of_flow')),
      rule(isDecided, goto('ended')),
      isHousekeeping,
      rule(vmap(metaBits((MARK_WAY | MARK_APP) >>> 0), rules.name)),
      // An application that has just gone.
      rule(goto(CHAIN.ask)),
    ],
  };
  const arrived: Chain = {
    name: 'arrived',
    comment: 'what a container sends to this machine: a socket may inherit its mark (tcp_fwmark_accept)',
    hook: hook('filter', 'input', PRIORITY_GUARD),
    rules: [rule(is(metaBits(MARK_OURS), MARK_OURS), setBits('meta mark', ~MARK_FOREIGN >>> 0, 0))],
  };
  return { maps: [rules], chains: [...all.flatMap(ingressChains), ...all.map(joined), forwarded, arrived] };
}
