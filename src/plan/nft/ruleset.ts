/**
 * nftables objects as data: what nft(8) calls table, chain, rule, set, map and element, with the few expressions this
 * project uses. One renderer prints them, one tracer evaluates them, one diff compares them.
 */
import type { MonotonicMs } from '../../net/clock.ts';

/** A field of the packet, its socket or its conntrack entry. `cgroup` is `socket cgroupv2 level N`. */
export type Field =
  | { readonly kind: 'meta mark'; readonly mask?: number }
  | { readonly kind: 'ct mark'; readonly mask?: number }
  /** Of the socket that sends or receives the packet: in `input` the one that is found by its addresses. */
  | { readonly kind: 'socket mark'; readonly mask?: number }
  | { readonly kind: 'ct state' }
  /** `dnat`: its destination has been translated; `confirmed`: it has sent before. Bits: for one value, and never for others than it. */
  | { readonly kind: 'ct status' }
  /** Has it: one of the 128 bits of the connection's label (nf_conntrack_labels), by its number. */
  | { readonly kind: 'ct label' }
  /** Where the destination leads: `local` is this machine. */
  | { readonly kind: 'fib daddr type' }
  | { readonly kind: 'ct direction' }
  /** Index of the device by which it came in; 0 where this machine sends it. */
  | { readonly kind: 'meta iif' }
  /** By which it leaves. */
  | { readonly kind: 'meta oif' }
  | { readonly kind: 'meta iifname' }
  | { readonly kind: 'meta oifname' }
  /** Of the device by which it leaves (IFLA_INFO_KIND). */
  | { readonly kind: 'meta oifkind' }
  | { readonly kind: 'meta nfproto' }
  | { readonly kind: 'meta l4proto' }
  | { readonly kind: 'meta skuid' }
  | { readonly kind: 'meta skgid' }
  | { readonly kind: 'ip saddr' }
  | { readonly kind: 'ip daddr' }
  | { readonly kind: 'ip6 saddr' }
  | { readonly kind: 'ip6 daddr' }
  | { readonly kind: 'th sport' }
  | { readonly kind: 'th dport' }
  | { readonly kind: 'icmpv6 type' }
  /** The flags that tell an opening segment: `syn` alone of fin, syn, rst, ack. */
  | { readonly kind: 'tcp flags' }
  | { readonly kind: 'cgroup'; readonly level: number };

/** Data types of set keys, in nft's own names. */
export type KeyType =
  | 'ipv4_addr'
  | 'ipv6_addr'
  | 'inet_proto'
  | 'inet_service'
  | 'mark'
  | 'uid'
  | 'gid'
  | 'cgroupsv2'
  | 'ifname'
  | 'iface_index';

/** An inclusive interval of a numeric key component; `first == last` is a single value. */
export interface Interval {
  readonly first: bigint;
  readonly last: bigint;
}

export type Verdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'return' }
  | { readonly kind: 'jump'; readonly chain: string }
  | { readonly kind: 'goto'; readonly chain: string };

/** `values` is one value or an anonymous set: numbers for numeric fields, strings for names and nft's own symbols. */
export type Expression =
  | {
      readonly kind: 'compare';
      readonly field: Field;
      readonly negate?: true;
      readonly values: readonly (number | bigint | string)[];
    }
  | { readonly kind: 'lookup'; readonly fields: readonly Field[]; readonly set: string; readonly negate?: true }
  | { readonly kind: 'vmap'; readonly field: Field; readonly map: string }
  /** By the hash of the fields, scaled to 0 .. modulus - 1; nothing where a field does not exist. */
  | {
      readonly kind: 'hash vmap';
      readonly fields: readonly Field[];
      readonly modulus: number;
      readonly seed: number;
      readonly elements: readonly { readonly first: number; readonly last: number; readonly verdict: Verdict }[];
    }
  /** `to = to & keep | value` */
  | { readonly kind: 'set mark'; readonly to: 'meta mark' | 'ct mark'; readonly keep: number; readonly value: number }
  /** `to = from & keep` */
  | {
      readonly kind: 'copy mark';
      readonly to: 'meta mark' | 'ct mark';
      readonly from: 'meta mark' | 'ct mark';
      readonly keep: number;
    }
  /** `to = map[field]`; the rule ends without effect where the map has no such key. */
  | { readonly kind: 'map mark'; readonly to: 'ct mark'; readonly field: Field; readonly map: string }
  | {
      readonly kind: 'reject';
      readonly with: 'tcp reset' | 'icmpx admin-prohibited' | 'icmpx no-route' | 'icmpx port-unreachable';
    }
  /** Where nobody listens the packet goes on to the next hook. */
  | { readonly kind: 'queue'; readonly number: number }
  | { readonly kind: 'log'; readonly group: number; readonly prefix: string; readonly perSecond: number }
  /** The set has these for so long from now on; nothing happens where it is full. */
  | {
      readonly kind: 'update set';
      readonly set: string;
      readonly fields: readonly Field[];
      readonly timeoutSeconds: number;
    }
  /**
   * True of what comes faster than `perSecond`, after `burst` packets that may come at once, counted for each key apart. Never true of a
   * key that the set, being full, has no room for.
   */
  | {
      readonly kind: 'over rate';
      readonly set: string;
      readonly fields: readonly Field[];
      readonly timeoutSeconds: number;
      readonly perSecond: number;
      readonly burst: number;
    }
  | { readonly kind: 'counter' }
  | { readonly kind: 'masquerade' }
  /** Of the direction in which a connection opens: before conntrack sees the packet. */
  | { readonly kind: 'set original zone'; readonly zone: number }
  /** Adds this bit, from 0 to 127, to those that the connection has; there is nothing that takes one away. */
  | { readonly kind: 'set label'; readonly label: number }
  /** To this machine's own loopback address, at this port. */
  | { readonly kind: 'redirect'; readonly port: number }
  | { readonly kind: 'verdict'; readonly verdict: Verdict };

export interface Rule {
  readonly expressions: readonly Expression[];
}

export interface Hook {
  readonly type: 'filter' | 'route' | 'nat';
  readonly hook: 'output' | 'postrouting' | 'input' | 'prerouting' | 'ingress';
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
  /** With `ingress`: the devices whose packets pass it. They must exist; where one goes, its packets' hook goes with it. */
  readonly devices?: readonly string[];
}

export interface Chain {
  readonly name: string;
  readonly comment?: string;
  readonly hook?: Hook;
  readonly rules: readonly Rule[];
}

/** One element: an interval (or, for `ifname`, a string) per component of the key. */
export interface SetElement {
  readonly key: readonly (Interval | string)[];
  /** The set must have the flag `timeout`. */
  readonly expiresAtMs?: MonotonicMs;
}

export interface NftSet {
  readonly name: string;
  readonly comment?: string;
  readonly key: readonly KeyType[];
  /** `dynamic`: rules fill it, by `update set`. */
  readonly flags: readonly ('interval' | 'timeout' | 'dynamic')[];
  /** More elements it will never have. */
  readonly size?: number;
  readonly elements: readonly SetElement[];
}

export interface MapElement {
  readonly key: bigint;
  readonly data:
    | { readonly kind: 'mark'; readonly mark: number }
    | { readonly kind: 'verdict'; readonly verdict: Verdict };
}

/**
 * A map with one plain key. Elements of `cgroupsv2` maps are numbers that nft's text form cannot spell: they are
 * loaded by netlink after the text batch.
 */
export interface NftMap {
  readonly name: string;
  readonly comment?: string;
  readonly key: KeyType;
  /** Level of `socket cgroupv2` the key stands for; only with `cgroupsv2`. */
  readonly level?: number;
  readonly data: 'mark' | 'verdict';
  /**
   * More elements it will never have, those that a change replaces included. With it the kernel takes its fastest hash, which
   * counts where every packet is looked up (nft_hash_select_ops in net/netfilter/nft_set_hash.c).
   */
  readonly size?: number;
  readonly elements: readonly MapElement[];
}

/** One table of family inet. Names are unique over chains, and over sets and maps together. */
export interface Ruleset {
  readonly table: string;
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly maps: ReadonlyMap<string, NftMap>;
  readonly chains: ReadonlyMap<string, Chain>;
}
