/**
 * Ruleset and transaction to nft(8)'s text form, one statement a line, in the order nft itself needs: sets and maps
 * before the rules that use them, chains before the rules that jump to them.
 */
import { formatAddress } from '../../net/address.ts';
import type { MonotonicMs } from '../../net/clock.ts';
import { isUsableDeviceName } from '../../net/device-name.ts';
import { formatMark } from '../../net/mark.ts';
import { IPPROTO_ICMPV6, protocolName } from '../../net/protocol.ts';
import { TABLE } from '../reserved.ts';
import type { NftCommand } from './command.ts';
import type {
  Chain,
  Expression,
  Field,
  Interval,
  KeyType,
  MapElement,
  NftMap,
  NftSet,
  Rule,
  Ruleset,
  SetElement,
  Verdict,
} from './ruleset.ts';

/** Elements a line of a rendered element list: keeps lines readable and below any reader's limits. */
const ELEMENTS_PER_LINE = 8;

/** Elements with cgroup keys go by netlink: nft's text form cannot spell a cgroup's number. */
const hasTextElements = (map: NftMap): boolean => map.key !== 'cgroupsv2' && map.elements.length > 0;

/** The whole table as a person would write it in a file; `nowMs` turns expiries into timeouts. */
export function renderRuleset(ruleset: Ruleset, nowMs: MonotonicMs): string {
  const lines = [`table inet ${ruleset.table} {`];
  for (const set of ruleset.sets.values()) lines.push(...indent(setBlock(set, nowMs)), '');
  for (const map of ruleset.maps.values()) lines.push(...indent(mapBlock(map)), '');
  for (const chain of ruleset.chains.values()) lines.push(...indent(chainBlock(chain)), '');
  // Verdict maps name chains, and chains name maps: their elements come when both exist.
  if (lines.at(-1) === '') lines.pop();
  lines.push('}');
  for (const map of ruleset.maps.values()) {
    if (map.data === 'verdict' && hasTextElements(map)) {
      lines.push(
        ...elementLines(
          `add element inet ${ruleset.table} ${map.name}`,
          map.elements.map((e) => mapElement(map, e)),
        ),
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

/** A transaction as one batch for `nft -f -`. Empty where every command goes by netlink. */
export function renderCommands(commands: readonly NftCommand[], nowMs: MonotonicMs): string {
  return commands.map((command) => renderCommand(command, nowMs)).join('');
}

function renderCommand(command: NftCommand, nowMs: MonotonicMs): string {
  switch (command.kind) {
    case 'replace table':
      // `add` first, so that `delete` cannot fail on a table that is not there.
      return `add table inet ${command.ruleset.table}\ndelete table inet ${command.ruleset.table}\n${renderRuleset(command.ruleset, nowMs)}`;
    case 'delete table':
      return `add table inet ${command.table}\ndelete table inet ${command.table}\n`;
    case 'add chain':
      return inTable(chainBlock({ ...command.chain, rules: [] }));
    case 'flush chain':
      return `flush chain inet ${TABLE} ${command.chain}\n`;
    case 'delete chain':
      return `delete chain inet ${TABLE} ${command.chain}\n`;
    case 'add rule':
      return `add rule inet ${TABLE} ${command.chain} ${renderRule(command.rule)}\n`;
    case 'add set':
      return inTable(setBlock(command.set, nowMs));
    case 'delete set':
      return `delete set inet ${TABLE} ${command.set}\n`;
    case 'flush set':
      return `flush set inet ${TABLE} ${command.set}\n`;
    case 'add map':
      return inTable(mapBlock(command.map));
    case 'delete map':
      return `delete map inet ${TABLE} ${command.map}\n`;
    case 'add elements':
      return batch(
        'add',
        command.set.name,
        command.elements.map((e) => setElement(command.set, e, nowMs)),
      );
    case 'delete elements':
      return batch(
        'delete',
        command.set.name,
        command.elements.map((e) => setKey(command.set, e)),
      );
    case 'add map elements':
      return command.map.key === 'cgroupsv2'
        ? ''
        : batch(
            'add',
            command.map.name,
            command.elements.map((e) => mapElement(command.map, e)),
          );
    case 'delete map elements':
      return command.map.key === 'cgroupsv2'
        ? ''
        : batch(
            'delete',
            command.map.name,
            command.elements.map((e) => component(command.map.key, e)),
          );
  }
}

const inTable = (block: readonly string[]): string => `table inet ${TABLE} {\n${indent(block).join('\n')}\n}\n`;

const batch = (verb: 'add' | 'delete', name: string, elements: readonly string[]): string =>
  elements.length === 0 ? '' : `${elementLines(`${verb} element inet ${TABLE} ${name}`, elements).join('\n')}\n`;

const indent = (lines: readonly string[]): string[] => lines.map((line) => (line === '' ? '' : `  ${line}`));

function elementLines(head: string, elements: readonly string[]): string[] {
  const lines = [`${head} {`];
  for (let i = 0; i < elements.length; i += ELEMENTS_PER_LINE) {
    const last = i + ELEMENTS_PER_LINE >= elements.length;
    lines.push(`  ${elements.slice(i, i + ELEMENTS_PER_LINE).join(', ')}${last ? '' : ','}`);
  }
  lines.push('}');
  return lines;
}

function setBlock(set: NftSet, nowMs: MonotonicMs): string[] {
  const lines = [`set ${set.name} {`, `  type ${set.key.join(' . ')}`];
  if (set.size !== undefined) lines.push(`  size ${set.size}`);
  if (set.flags.length > 0) lines.push(`  flags ${set.flags.join(',')}`);
  if (set.comment !== undefined) lines.push(`  comment ${quoted(set.comment)}`);
  if (set.elements.length > 0)
    lines.push(
      ...indent(
        elementLines(
          'elements =',
          set.elements.map((e) => setElement(set, e, nowMs)),
        ),
      ),
    );
  lines.push('}');
  return lines;
}

function mapBlock(map: NftMap): string[] {
  const lines = [`map ${map.name} {`, `  type ${map.key} : ${map.data}`];
  if (map.size !== undefined) lines.push(`  size ${map.size}`);
  if (map.comment !== undefined) lines.push(`  comment ${quoted(map.comment)}`);
  if (hasTextElements(map) && map.data === 'mark') {
    lines.push(
      ...indent(
        elementLines(
          'elements =',
          map.elements.map((e) => mapElement(map, e)),
        ),
      ),
    );
  }
  lines.push('}');
  return lines;
}

function chainBlock(chain: Chain): string[] {
  const lines = [`chain ${chain.name} {`];
  if (chain.comment !== undefined) lines.push(`  comment ${quoted(chain.comment)}`);
  if (chain.hook !== undefined) {
    const { type, hook, priority, policy, devices } = chain.hook;
    const at = devices === undefined ? '' : ` devices = { ${devices.map(quotedDevice).join(', ')} }`;
    lines.push(`  type ${type} hook ${hook}${at} priority ${priority}; policy ${policy};`);
  }
  lines.push(...chain.rules.map((rule) => `  ${renderRule(rule)}`), '}');
  return lines;
}

export const renderRule = (rule: Rule): string => rule.expressions.map(renderExpression).join(' ');

function renderExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'compare': {
      const values = expression.values.map((value) => compareValue(expression.field, value));
      const right = values.length === 1 ? values[0] : `{ ${values.join(', ')} }`;
      const masked = 'mask' in expression.field && expression.field.mask !== undefined;
      const operator = expression.negate ? '!= ' : masked ? '== ' : '';
      return `${renderField(expression.field)} ${operator}${right}`;
    }
    case 'lookup':
      return `${expression.fields.map(renderField).join(' . ')} ${expression.negate ? '!= ' : ''}@${expression.set}`;
    case 'vmap':
      return `${renderField(expression.field)} vmap @${expression.map}`;
    case 'hash vmap': {
      const { fields, modulus, seed, elements } = expression;
      const cases = elements.map(({ first, last, verdict }) => {
        const range = first === last ? `${first}` : `${first}-${last}`;
        return `${range} : ${renderVerdict(verdict)}`;
      });
      const hash = `jhash ${fields.map(renderField).join(' . ')} mod ${modulus} seed ${formatMark(seed)}`;
      return `${hash} vmap { ${cases.join(', ')} }`;
    }
    case 'set mark':
      // nft prints and computes (mark & keep) | value; the kernel keeps one bitwise expression for both.
      return expression.keep === 0
        ? `${expression.to} set ${formatMark(expression.value)}`
        : `${expression.to} set ${expression.to} & ${formatMark(expression.keep)} | ${formatMark(expression.value)}`;
    case 'copy mark':
      return `${expression.to} set ${expression.from} & ${formatMark(expression.keep)}`;
    case 'map mark':
      return `${expression.to} set ${renderField(expression.field)} map @${expression.map}`;
    case 'reject':
      return `reject with ${expression.with}`;
    case 'queue':
      return `queue flags bypass to ${expression.number}`;
    case 'log':
      return `limit rate ${expression.perSecond}/second log prefix ${quoted(expression.prefix)} group ${expression.group}`;
    case 'update set': {
      const key = expression.fields.map(renderField).join(' . ');
      return `update @${expression.set} { ${key} timeout ${expression.timeoutSeconds}s }`;
    }
    case 'over rate': {
      const { set, fields, timeoutSeconds, perSecond, burst } = expression;
      const key = fields.map(renderField).join(' . ');
      return `update @${set} { ${key} timeout ${timeoutSeconds}s limit rate over ${perSecond}/second burst ${burst} packets }`;
    }
    case 'counter':
      return 'counter';
    case 'masquerade':
      return 'masquerade';
    case 'set original zone':
      return `ct original zone set ${expression.zone}`;
    case 'set label':
      return `ct label set ${expression.label}`;
    case 'redirect':
      return `redirect to :${expression.port}`;
    case 'verdict':
      return renderVerdict(expression.verdict);
  }
}

function renderField(field: Field): string {
  switch (field.kind) {
    case 'meta mark':
    case 'ct mark':
    case 'socket mark':
      return field.mask === undefined ? field.kind : `${field.kind} & ${formatMark(field.mask)}`;
    case 'cgroup':
      return `socket cgroupv2 level ${field.level}`;
    case 'meta iifname':
      return 'iifname';
    case 'meta oifname':
      return 'oifname';
    case 'tcp flags':
      return 'tcp flags & (fin | syn | rst | ack)';
    default:
      return field.kind;
  }
}

/** nft resolves names by /etc/protocols, where ICMPv6 is spelled like this. */
const protocol = (number: number): string => (number === IPPROTO_ICMPV6 ? 'ipv6-icmp' : protocolName(number));

function compareValue(field: Field, value: number | bigint | string): string {
  switch (field.kind) {
    case 'meta mark':
    case 'ct mark':
    case 'socket mark':
      return typeof value === 'number' ? formatMark(value) : String(value);
    case 'meta iifname':
    case 'meta oifkind':
      return `"${value}"`;
    case 'meta oifname':
      return quotedDevice(String(value));
    case 'meta l4proto':
      return typeof value === 'number' ? protocol(value) : String(value);
    case 'ip saddr':
    case 'ip daddr':
      return typeof value === 'bigint' ? formatAddress({ family: 4, value }) : String(value);
    case 'ip6 saddr':
    case 'ip6 daddr':
      return typeof value === 'bigint' ? formatAddress({ family: 6, value }) : String(value);
    default:
      return String(value);
  }
}

/** nft has no escape inside quotes. Throws RangeError: whoever made the ruleset has let a text in that came from outside. */
function quoted(text: string): string {
  if (/["\p{Cc}]/u.test(text)) throw new RangeError(`nft cannot quote ${JSON.stringify(text)}`);
  return `"${text}"`;
}

/** Throws RangeError for what nft would take for a pattern, or for another device. */
function quotedDevice(name: string): string {
  if (!isUsableDeviceName(name)) throw new RangeError(`nft cannot name the device ${JSON.stringify(name)}`);
  return `"${name}"`;
}

export function renderVerdict(verdict: Verdict): string {
  return verdict.kind === 'jump' || verdict.kind === 'goto' ? `${verdict.kind} ${verdict.chain}` : verdict.kind;
}

const setKey = (set: NftSet, element: SetElement): string =>
  element.key
    .map((part, i) => (typeof part === 'string' ? quotedDevice(part) : interval(set.key[i] ?? 'mark', part)))
    .join(' . ');

function setElement(set: NftSet, element: SetElement, nowMs: MonotonicMs): string {
  const key = setKey(set, element);
  if (element.expiresAtMs === undefined) return key;
  return `${key} timeout ${Math.max(1, Math.ceil((element.expiresAtMs - nowMs) / 1000))}s`;
}

function mapElement(map: NftMap, element: MapElement): string {
  const data = element.data.kind === 'mark' ? formatMark(element.data.mark) : renderVerdict(element.data.verdict);
  return `${component(map.key, element)} : ${data}`;
}

const component = (type: KeyType, element: MapElement): string => value(type, element.key);

const interval = (type: KeyType, { first, last }: Interval): string =>
  first === last ? value(type, first) : `${value(type, first)}-${value(type, last)}`;

function value(type: KeyType, number: bigint): string {
  switch (type) {
    case 'ipv4_addr':
      return formatAddress({ family: 4, value: number });
    case 'ipv6_addr':
      return formatAddress({ family: 6, value: number });
    case 'mark':
      return formatMark(Number(number));
    case 'inet_proto':
      return protocol(Number(number));
    case 'inet_service':
    case 'uid':
    case 'gid':
    case 'cgroupsv2':
    case 'ifname':
    case 'iface_index':
      return String(number);
  }
}
