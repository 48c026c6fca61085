import { BlockList, isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import {
  type Address,
  addressFromBytes,
  addressToBytes,
  compareAddress,
  comparePrefix,
  equalAddress,
  type Family,
  formatAddress,
  formatPrefix,
  isLoopbackAddress,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixContains,
  prefixHasHostBits,
  prefixRange,
  prefixWidth,
  unmapAddress,
} from './address.ts';

const group = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.constantFrom(1, 0xffff), fc.nat(0xffff));
const v4: fc.Arbitrary<Address> = fc.nat(0xffffffff).map((value) => ({ family: 4, value: BigInt(value) }));
const v6: fc.Arbitrary<Address> = fc
  .array(group, { minLength: 8, maxLength: 8 })
  .map((groups) => ({ family: 6, value: groups.reduce((value, next) => (value << 16n) | BigInt(next), 0n) }));
const anyAddress = fc.oneof(v4, v6);
const anyPrefixText = anyAddress.chain((address) =>
  fc
    .nat(prefixWidth(address.family))
    .map((length) => ({ address, length, text: `${formatAddress(address)}/${length}` })),
);

/** Valid addresses with a few characters changed: where parsers differ. */
const almostAddress = fc
  .tuple(
    fc.oneof(fc.ipV4(), fc.ipV4Extended(), fc.ipV6(), anyAddress.map(formatAddress)),
    fc.array(
      fc.tuple(fc.nat(45), fc.nat(2), fc.constantFrom('', ':', '::', '.', '0', '1', '255', '256', 'f', 'g', ' ')),
      { maxLength: 3 },
    ),
  )
  .map(([text, edits]) =>
    edits.reduce((edited, [at, drop, insert]) => edited.slice(0, at) + insert + edited.slice(at + drop), text),
  );

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`test data: ${text}`);
  return parsed;
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(`test data: ${text}`);
  return parsed;
}

describe('parseAddress()', () => {
  it.each([
    ['0.0.0.0', 4, 0n],
    ['255.255.255.255', 4, 0xffffffffn],
    ['192.0.2.1', 4, 0xc0000201n],
    ['::', 6, 0n],
    ['::1', 6, 1n],
    ['1::', 6, 1n << 112n],
    ['2001:DB8::a', 6, 0x20010db800000000000000000000000an],
    ['1:2:3:4:5:6:7::', 6, 0x00010002000300040005000600070000n],
    ['::192.0.2.1', 6, 0xc0000201n],
    ['64:ff9b::192.0.2.33', 6, 0x0064ff9b0000000000000000c0000221n],
    ['1:2:3:4:5:6:1.2.3.4', 6, 0x00010002000300040005000601020304n],
  ])('parseAddress() reads %s', (text, family, value) => {
    expect(parseAddress(text)).toEqual({ family, value });
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.00',
    '0x7f.0.0.1',
    '1.2.3.256',
    '1.2.3.4 ',
    '1.2.3.4\n',
    '2130706433',
    ':',
    ':::',
    ':1',
    '1:',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4::5:6:7:8',
    '12345::',
    '::g',
    '::1.2.3',
    '::1.2.3.4:5',
    '1.2.3.4::',
    '::01.2.3.4',
    'fe80::1%eth0',
    '[::1]',
    '::1/128',
    '٣.1.1.1',
  ])('parseAddress() refuses %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  it('parseAddress() refuses a megabyte of colons at once', () => {
    expect(parseAddress(':'.repeat(1_000_000))).toBeUndefined();
  });

  it('parseAddress() accepts what node accepts, and ipaddr.js reads the same bytes', () => {
    let accepted = 0;
    const property = fc.property(almostAddress, (text) => {
      const parsed = parseAddress(text);
      expect(parsed?.family).toBe(isIPv4(text) ? 4 : isIPv6(text) ? 6 : undefined);
      if (parsed === undefined) return;
      accepted++;
      // ipaddr.js takes ::a.b.c.d as mapped; RFC 4291 section 2.5.5.1 and inet_pton() leave the other bits zero.
      if (/^::\d+\./.test(text)) return;
      expect([...addressToBytes(parsed)]).toEqual(ipaddr.parse(text).toByteArray());
    });
    fc.assert(property, { numRuns: 3000 });
    expect(accepted).toBeGreaterThan(300);
  });
});

describe('formatAddress()', () => {
  it.each([
    '0.0.0.0',
    '10.200.0.1',
    '::',
    '::1',
    '1::',
    '2001:db8::1:0:0:1',
    '2001:db8:0:1:1:1:1:1',
    '1:0:0:2::3',
    '::ffff:192.0.2.1',
    '::ffff:0:192:1',
    '64:ff9b::c000:221',
  ])('formatAddress() gives the RFC 5952 form %s back', (text) => {
    expect(formatAddress(address(text))).toBe(text);
  });

  it('formatAddress() agrees with ipaddr.js except for the dotted quad of mapped addresses', () => {
    const property = fc.property(v6, (value) => {
      const theirs = ipaddr.fromByteArray([...addressToBytes(value)]) as ipaddr.IPv6;
      expect(formatAddress(value)).toBe(
        theirs.isIPv4MappedAddress() ? `::ffff:${theirs.toIPv4Address().toString()}` : theirs.toRFC5952String(),
      );
    });
    fc.assert(property, { numRuns: 1000, examples: [[address('::ffff:1.2.3.4')]] });
  });

  it('formatAddress() is undone by parseAddress()', () => {
    const property = fc.property(anyAddress, (value) => {
      expect(parseAddress(formatAddress(value))).toEqual(value);
    });
    fc.assert(property);
  });
});

describe('addressFromBytes()', () => {
  it('addressFromBytes() undoes addressToBytes(), also inside a larger buffer', () => {
    const property = fc.property(anyAddress, fc.nat(9), (value, offset) => {
      const bytes = addressToBytes(value);
      const larger = new Uint8Array(64).fill(0xee);
      larger.set(bytes, offset);
      expect(addressFromBytes(larger.subarray(offset, offset + bytes.length))).toEqual(value);
    });
    fc.assert(property);
  });

  it.each([0, 3, 5, 15, 17])('addressFromBytes() throws RangeError for %i bytes', (count) => {
    expect(() => addressFromBytes(new Uint8Array(count))).toThrow(RangeError);
  });
});

describe('compareAddress()', () => {
  it('compareAddress() orders like the family and the bytes, and is 0 only for equal addresses', () => {
    const spelled = ({ family, value }: Address) => `${family}${value.toString(16).padStart(32, '0')}`;
    const property = fc.property(anyAddress, anyAddress, (a, b) => {
      const [left, right] = [spelled(a), spelled(b)];
      expect(compareAddress(a, b)).toBe(left < right ? -1 : left > right ? 1 : 0);
      expect(equalAddress(a, b)).toBe(left === right);
      expect(equalAddress(a, { ...a })).toBe(true);
    });
    fc.assert(property);
  });

  it('equalAddress() keeps families apart', () => {
    expect(equalAddress(address('0.0.0.1'), address('::1'))).toBe(false);
    expect(equalAddress(address('::ffff:1.2.3.4'), address('1.2.3.4'))).toBe(false);
  });
});

describe('unmapAddress()', () => {
  it('unmapAddress() gives the IPv4 address inside a mapped one only', () => {
    expect(unmapAddress(address('::ffff:192.0.2.1'))).toEqual(address('192.0.2.1'));
    for (const text of ['::1:ffff:c000:201', '::192.0.2.1', '64:ff9b::c000:201', '192.0.2.1']) {
      expect(unmapAddress(address(text))).toEqual(address(text));
    }
  });
});

describe('isLoopbackAddress()', () => {
  it.each(['127.0.0.1', '127.255.255.255', '::1', '::ffff:127.0.0.53'])('isLoopbackAddress() holds for %s', (text) => {
    expect(isLoopbackAddress(address(text))).toBe(true);
  });

  it.each(['126.255.255.255', '128.0.0.0', '0.0.0.1', '::', '::2', '::127.0.0.1', '::ffff:10.0.0.1', '::ffff:0.0.0.1'])(
    'isLoopbackAddress() does not hold for %s',
    (text) => {
      expect(isLoopbackAddress(address(text))).toBe(false);
    },
  );
});

describe('parsePrefix()', () => {
  it.each([
    ['10.1.2.3/8', '10.0.0.0/8', true],
    ['10.0.0.0/8', '10.0.0.0/8', false],
    ['192.0.2.1', '192.0.2.1', false],
    ['192.0.2.1/32', '192.0.2.1', false],
    ['192.0.2.1/0', '0.0.0.0/0', true],
    ['2001:db8::1/64', '2001:db8::/64', true],
    ['::1/128', '::1', false],
    ['::/0', '::/0', false],
  ])('parsePrefix() reads %s as %s', (text, formatted, hostBits) => {
    expect(formatPrefix(prefix(text))).toBe(formatted);
    expect(prefixHasHostBits(text)).toBe(hostBits);
  });

  it.each([
    '',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/08',
    '10.0.0.0/+8',
    '10.0.0.0/8/8',
    '10/8',
    '::/0x8',
    '::/1e1',
  ])('parsePrefix() refuses %j', (text) => {
    expect(parsePrefix(text)).toBeUndefined();
    expect(prefixHasHostBits(text)).toBe(false);
  });

  it('parsePrefix() finds the network that ipaddr.js finds', () => {
    const property = fc.property(anyPrefixText, ({ address: { family }, length, text }) => {
      const parsed = prefix(text);
      const Theirs = family === 4 ? ipaddr.IPv4 : ipaddr.IPv6;
      expect([...addressToBytes(parsed.address)]).toEqual(Theirs.networkAddressFromCIDR(text).toByteArray());
      expect(parsed.length).toBe(length);
      expect(prefixHasHostBits(text)).toBe(!equalAddress(parsed.address, address(text.slice(0, text.indexOf('/')))));
      expect(parsePrefix(formatPrefix(parsed))).toEqual(parsed);
    });
    fc.assert(property);
  });
});

describe('prefixContains()', () => {
  it('prefixContains() and prefixRange() agree with node BlockList and ipaddr.js inside, outside and at the edges', () => {
    let inside = 0;
    const property = fc.property(anyPrefixText, anyAddress, fc.nat(4), ({ text }, random, pick) => {
      const network = prefix(text);
      const { family } = network.address;
      const { first, last } = prefixRange(network);
      const limit = (1n << BigInt(prefixWidth(family))) - 1n;
      const value = [first, last, first - 1n, last + 1n, random.value & limit][pick] ?? 0n;
      if (value < 0n || value > limit) return;
      const probe: Address = { family, value };
      const contains = prefixContains(network, probe);
      expect(contains).toBe(first <= value && value <= last);
      expect(contains).toBe(blockListHas(network, probe));
      const [theirs, range] = [toIpaddr(probe), toIpaddr(network.address)];
      expect(contains).toBe(theirs.match(range, network.length));
      if (contains) inside++;
    });
    fc.assert(property, { numRuns: 1000 });
    expect(inside).toBeGreaterThan(100);
  });

  it('prefixContains() is false across families', () => {
    expect(prefixContains(prefix('0.0.0.0/0'), address('::ffff:1.2.3.4'))).toBe(false);
    expect(prefixContains(prefix('::/0'), address('1.2.3.4'))).toBe(false);
  });
});

describe('comparePrefix()', () => {
  it('comparePrefix() sorts by family, address, then width', () => {
    const sorted = [
      '0.0.0.0/0',
      '10.0.0.0/8',
      '10.0.0.0/9',
      '10.0.0.0',
      '10.0.1.0/24',
      '::/0',
      '::/1',
      '2001:db8::/32',
    ];
    const shuffled = sorted.toReversed().map(prefix);
    expect(shuffled.toSorted(comparePrefix).map(formatPrefix)).toEqual(sorted);
    expect(comparePrefix(prefix('10.0.0.0/8'), prefix('10.1.0.0/8'))).toBe(0);
  });
});

function blockListHas(network: Prefix, probe: Address): boolean {
  const name = (family: Family): 'ipv4' | 'ipv6' => (family === 4 ? 'ipv4' : 'ipv6');
  const list = new BlockList();
  list.addSubnet(formatAddress(network.address), network.length, name(network.address.family));
  return list.check(formatAddress(probe), name(probe.family));
}

function toIpaddr(value: Address): ipaddr.IPv4 | ipaddr.IPv6 {
  return ipaddr.fromByteArray([...addressToBytes(value)]);
}
