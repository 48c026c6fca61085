/**
 * What happens while uplinks come and go, as nfnetlink: to start nft(8) takes longer than everything else together. What is not
 * spelled here is left to it.
 */
import { addressToBytes } from '../net/address.ts';
import { u8, u32 } from '../netlink/bytes.ts';
import type { NetlinkRequest } from '../netlink/message.ts';
import {
  encodeElementAdd,
  encodeElementDelete,
  type SetAddress,
  type SetElement as WireElement,
} from '../netlink/nftables-element.ts';
import {
  encodeChainFlush,
  encodeRuleAppend,
  NFT_META_MARK,
  NFT_META_NFPROTO,
  NFT_META_OIFNAME,
  type RuleStep,
} from '../netlink/nftables-rule.ts';
import { encodeUtf8 } from '../netlink/text.ts';
import { NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6 } from '../netlink/uapi.ts';
import type { NftCommand } from '../plan/nft/command.ts';
import type { Expression, Field, KeyType, MapElement, NftMap, NftSet, Rule, SetElement } from '../plan/nft/ruleset.ts';
import { TABLE } from '../plan/reserved.ts';
import { elementData, verdictData } from './element-data.ts';

/** Requests of one transaction; undefined where one of the commands is nft's alone. Elements of cgroup maps are left out. */
export function nftRequests(commands: readonly NftCommand[]): NetlinkRequest[] | undefined {
  const requests: NetlinkRequest[] = [];
  for (const command of commands) {
    const encoded = encodeCommand(command);
    if (encoded === undefined) return undefined;
    requests.push(...encoded);
  }
  return requests;
}

const chainAddress = (chain: string) => ({ family: NFPROTO_INET, table: TABLE, chain });
const setAddress = (set: string): SetAddress => ({ family: NFPROTO_INET, table: TABLE, set });

function encodeCommand(command: NftCommand): NetlinkRequest[] | undefined {
  switch (command.kind) {
    case 'flush chain':
      return [encodeChainFlush(chainAddress(command.chain))];
    case 'add rule': {
      const steps = ruleSteps(command.rule);
      return steps && [encodeRuleAppend(chainAddress(command.chain), steps)];
    }
    case 'add elements': {
      const elements = setElements(command.set, command.elements);
      return elements && encodeElementAdd(setAddress(command.set.name), elements, { ifExists: 'keep' });
    }
    case 'delete elements': {
      const elements = setElements(command.set, command.elements);
      return elements && encodeElementDelete(setAddress(command.set.name), elements);
    }
    case 'add map elements': {
      const elements = mapElements(command.map, command.elements);
      return elements && encodeElementAdd(setAddress(command.map.name), elements, { ifExists: 'keep' });
    }
    case 'delete map elements': {
      const elements = mapElements(command.map, command.elements);
      return elements && encodeElementDelete(setAddress(command.map.name), elements);
    }
    case 'replace table':
    case 'delete table':
    case 'add chain':
    case 'delete chain':
    case 'add set':
    case 'delete set':
    case 'flush set':
    case 'add map':
    case 'delete map':
      return undefined;
  }
}

function mapElements({ key }: NftMap, elements: readonly MapElement[]): WireElement[] | undefined {
  // Those go apart.
  if (key === 'cgroupsv2') return [];
  if (key !== 'mark') return undefined;
  return elements.map((element) => ({ key: u32(Number(element.key)), data: elementData(element) }));
}

/** linux/if.h. */
const IFNAMSIZ = 16;

const ADDRESS_FAMILY: Partial<Record<KeyType, 4 | 6>> = { ipv4_addr: 4, ipv6_addr: 6 };

/** Intervals of addresses: the kernel wants where one begins and the first address that is no longer in it. */
function setElements(
  { key: [type, ...more], flags }: NftSet,
  elements: readonly SetElement[],
): WireElement[] | undefined {
  const family = type && ADDRESS_FAMILY[type];
  if (family === undefined || more.length > 0 || flags.join() !== 'interval') return undefined;
  const afterLast = 1n << (family === 4 ? 32n : 128n);
  const bytes = (value: bigint): Uint8Array => addressToBytes({ family, value });
  return elements.flatMap(({ key: [part] }): WireElement[] => {
    if (part === undefined || typeof part === 'string') return [];
    const end = part.last + 1n;
    const begin = { key: bytes(part.first) };
    return end === afterLast ? [begin] : [begin, { key: bytes(end), intervalEnd: true }];
  });
}

function ruleSteps({ expressions }: Rule): RuleStep[] | undefined {
  const steps: RuleStep[] = [];
  for (const expression of expressions) {
    const encoded = expressionSteps(expression);
    if (encoded === undefined) return undefined;
    steps.push(...encoded);
  }
  return steps;
}

function expressionSteps(expression: Expression): RuleStep[] | undefined {
  switch (expression.kind) {
    case 'compare':
      return compareSteps(expression);
    case 'lookup': {
      const [field, ...more] = expression.fields;
      const load = field === undefined || more.length > 0 ? undefined : addressField(field)?.load;
      return load && [...load, { kind: 'lookup', negate: expression.negate ?? false, set: expression.set }];
    }
    case 'set mark': {
      const { to, keep, value } = expression;
      if (to !== 'meta mark' || keep === 0) return undefined;
      // (mark & keep) | value.
      return [
        { kind: 'load meta', key: NFT_META_MARK },
        { kind: 'bitwise', mask: u32((keep & ~value) >>> 0), xor: u32(value) },
        { kind: 'store meta', key: NFT_META_MARK },
      ];
    }
    case 'counter':
      return [{ kind: 'counter' }];
    case 'masquerade':
      return [{ kind: 'masquerade' }];
    case 'verdict':
      return [{ kind: 'verdict', data: verdictData(expression.verdict) }];
    case 'vmap':
    case 'hash vmap':
    case 'set original zone':
    case 'set label':
    case 'redirect':
    case 'copy mark':
    case 'map mark':
    case 'reject':
    case 'queue':
    case 'log':
    case 'update set':
    case 'over rate':
      return undefined;
  }
}

const PROTOCOL_BYTES: Readonly<Record<string, Uint8Array>> = { ipv4: u8(NFPROTO_IPV4), ipv6: u8(NFPROTO_IPV6) };

/** One value; or none of several, each of which is a comparison of its own. */
function compareSteps(comparison: Extract<Expression, { kind: 'compare' }>): RuleStep[] | undefined {
  const { field, values } = comparison;
  const negate = comparison.negate === true;
  if (values.length !== 1 && !negate) return undefined;
  const compare = (bytes: Uint8Array): RuleStep => ({ kind: 'compare', negate, bytes });
  if (field.kind === 'meta nfproto') {
    const bytes = values.flatMap((value) => PROTOCOL_BYTES[String(value)] ?? []);
    return bytes.length < values.length
      ? undefined
      : [{ kind: 'load meta', key: NFT_META_NFPROTO }, ...bytes.map(compare)];
  }
  if (field.kind === 'meta oifname')
    return [{ kind: 'load meta', key: NFT_META_OIFNAME }, ...values.map((value) => compare(nameBytes(String(value))))];
  const address = addressField(field);
  if (address === undefined) return undefined;
  const { family, load } = address;
  const numbers = values.filter((value) => typeof value === 'bigint');
  if (numbers.length < values.length) return undefined;
  return [...load, ...numbers.map((value) => compare(addressToBytes({ family, value })))];
}

/** As registers have it: with zeros behind. */
function nameBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(IFNAMSIZ);
  bytes.set(encodeUtf8(name).subarray(0, IFNAMSIZ));
  return bytes;
}

/** RFC 791 section 3.1, RFC 8200 section 3: where the addresses stand. */
const ADDRESS_FIELDS: Partial<Record<Field['kind'], { readonly family: 4 | 6; readonly offset: number }>> = {
  'ip saddr': { family: 4, offset: 12 },
  'ip daddr': { family: 4, offset: 16 },
  'ip6 saddr': { family: 6, offset: 8 },
  'ip6 daddr': { family: 6, offset: 24 },
};

/** In a table of family inet it has to be said first which header that is. */
function addressField({ kind }: Field): { readonly family: 4 | 6; readonly load: readonly RuleStep[] } | undefined {
  const place = ADDRESS_FIELDS[kind];
  if (place === undefined) return undefined;
  const [protocol, length] = place.family === 4 ? [NFPROTO_IPV4, 4] : [NFPROTO_IPV6, 16];
  return {
    family: place.family,
    load: [
      { kind: 'load meta', key: NFT_META_NFPROTO },
      { kind: 'compare', negate: false, bytes: u8(protocol) },
      { kind: 'load network', offset: place.offset, length },
    ],
  };
}
