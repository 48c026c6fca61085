/**
 * Every number and name this project takes for itself in the kernel. Whatever is not listed here is foreign: never
 * touched, never assumed. `docs/kernel-objects.md` is this file for people.
 */

/** The one table, family inet. */
export const TABLE = 'pointsman';
/** What `pointsman panic closed` loads: apart, so that it works whatever state the first is in. */
export const PANIC_TABLE = 'pointsman_panic';
/** A chain without rules in our table, where that was loaded from a file and no daemon has taken it over. */
export const CHAIN_STATIC = 'before_first_start';
/** What counts and drops the daemon's own datagrams while it looks whether the kernel does what policies say; without rules at other times. */
export const CHECK_TABLE = 'pointsman_check';

/**
 * Mark layout, of sockets, packets and connections alike:
 *
 *     31  30........24  23........16  15      14...............0
 *     |   uplink        foreign       |       number of an application or a program, or control code
 *     ours / decided                  of a socket
 *
 * Bits 16-23 belong to others (Tailscale 0x00ff0000, pbr 0x00ff0000): no rule ever writes them. A socket is marked when it
 * is made, with the number of the program that makes it; its packets carry that until they have been told apart.
 */
export const MARK_OURS = 0x80000000;
export const MARK_UPLINK = 0x7f000000;
export const MARK_WAY = 0xff000000;
export const MARK_FOREIGN = 0x00ff0000;
/** With bit 15, which no application's number has: a socket's number is never taken for one. */
export const MARK_APP = 0x0000ffff;
export const MARK_SOCKET = 0x00008000;
export const MARK_UPLINK_SHIFT = 24;

/** Values of the uplink bits. */
export const UPLINK_SYSTEM = 0;
export const UPLINK_FIRST = 1;
export const UPLINK_LAST = 124;
/** Of a connection that came in: replies go back by its address. */
export const UPLINK_INBOUND = 125;
/** On-link or loopback: no uplink is involved. */
export const UPLINK_LOCAL = 126;
/** The flow has lost its permission: each further packet is refused. */
export const UPLINK_NONE = 127;

/** `size` of maps by way: twice what there can be, since a change may replace all of them at once. */
export const MAX_WAYS = 256;

/** App ids. 0 is "no policy"; those from `APP_CODE_FIRST` are control codes in a packet mark. */
export const APP_NONE = 0;
export const APP_FIRST = 1;
export const APP_LAST = 0x7dff;
/** Names for senders that no file describes. */
export const APP_UNKNOWN = 0x7e00;
export const APP_KERNEL = 0x7e01;
export const APP_DAEMON = 0x7e02;
/** Connections that came in before the daemon started and were found in mid-stream. */
export const APP_INBOUND = 0x7e03;
/** Whatever is behind user-mode networking. */
export const APP_SERVED = 0x7e04;
export const APP_CODE_FIRST = 0x7f00;

/**
 * On what has gone into an overlay (VXLAN, GRE, IPIP), and by that on what carries it: without MARK_OURS, so that no routing rule of ours is
 * about it. No socket has it.
 */
export const MARK_INSIDE_OVERLAY = 0x7f05;

/** Control codes, with MARK_OURS set. */
export const CODE_QUEUE = 0x7f00;
export const CODE_DENIED = 0x7f01;
export const CODE_NO_UPLINK = 0x7f02;
/** `size` of maps by code, by the same measure. */
export const MAX_CODES = 8;

/** Numbers of programs: executables and scripts that policies name, and the offspring of an application. */
export const PROGRAM_FIRST = 1;
export const PROGRAM_LAST = 0x7efe;
export const PROGRAM_DAEMON = 0x7eff;
/**
 * From here to 0x7fff: a program that no policy names by executable or script, in a cgroup of which it is known what policies
 * say. Each change of what is named takes the next number, so that sockets of before are not taken for unnamed ones.
 */
export const PROGRAM_NONE_FIRST = 0x7f00;
export const PROGRAM_NONE_COUNT = 0x100;

/** The mark bits that tell a socket's program. */
export const MARK_PROGRAM: number = (MARK_OURS | MARK_APP) >>> 0;
export const programMark = (number: number): number => (MARK_OURS | MARK_SOCKET | number) >>> 0;
/** Of the daemon's own probes: by that uplink, whatever policies say. No program's socket has a way along with this number. */
export const probeMark = (uplink: number): number => (wayMark(uplink) | programMark(PROGRAM_DAEMON)) >>> 0;

/**
 * Packets of containers that this machine forwards, from the device by which they come in until they have been told apart: all
 * bits of the way and MARK_SOCKET, with the application's number. No socket has these, and no packet behind the chains.
 */
export const MARK_FORWARDED: number = (MARK_WAY | MARK_SOCKET) >>> 0;
export const forwardedMark = (appId: number): number => (MARK_FORWARDED | appId) >>> 0;
/** The bits of that number. */
export const MARK_FORWARDED_APP = 0x00007fff;

/**
 * Marks of others, compared whole: their packets have been dealt with by somebody who routes them by mark.
 * wg-quick and NetworkManager's WireGuard 0xca6c (its default port as fwmark), Mullvad 0x6d6f6c65.
 */
export const FOREIGN_MARKS: readonly { readonly mark: number; readonly owner: string }[] = [
  { mark: 0x0000ca6c, owner: 'wg-quick' },
  { mark: 0x6d6f6c65, owner: 'Mullvad VPN' },
];

/** Just before mangle (-150), where the xtables queue rule stands on kernels without nft `queue`; just after it. */
export const PRIORITY_OUTPUT = -151;
export const PRIORITY_VERDICT = -149;
/** After every mangle and nat chain: the last word before a packet leaves. */
export const PRIORITY_GUARD = 300;
/** Behind that: what leaves by a tunnel is routed again, and nobody is to route by our bits then. */
export const PRIORITY_LEAVE = 301;
/** And behind that, what really leaves is seen. */
export const PRIORITY_ASKED = 302;
/** And behind all of them ends what the daemon sends to check itself. */
export const PRIORITY_CHECK = 303;
/**
 * Priority (SO_PRIORITY, in nft a class "706d:NUMBER") of the datagrams of a check: a program without CAP_NET_ADMIN has one of 0 to 6. The
 * number is that of one question.
 */
export const CHECK_CLASS = 0x706d;
export const checkPriority = (number: number): number => (CHECK_CLASS << 16) | number;
/** raw: before conntrack (-200) takes a packet for one of a connection that is there. */
export const PRIORITY_ZONE = -300;
/** Just before dstnat (-100): the first to redirect a connection is the only one. */
export const PRIORITY_REDIRECT = -101;
/** Just behind dstnat: what others have translated goes where that leads. */
export const PRIORITY_TRANSLATED = -99;
/** srcnat. */
export const PRIORITY_MASQUERADE = 100;

/** The bit of a connection's label (of 128, nf_conntrack_labels) that says that it came in by this uplink. */
export const labelOf = (uplink: number): number => uplink;

/** NFQUEUE number and NFLOG groups: of what is refused where it is decided, and of what the last guard drops. */
export const QUEUE_NUMBER = 17700;
export const LOG_GROUP = 17700;
export const GUARD_LOG_GROUP = 17701;
/** Refused flows reported per second and chain; more are refused all the same, unreported. */
export const LOG_PER_SECOND = 50;

/**
 * Where the daemon takes queries of programs, on 127.0.0.1 and ::1, UDP and TCP. Below 1024, so that while no daemon is there
 * nobody but root takes its place; assigned to nobody (IANA: 954-988).
 */
export const DNS_RELAY_PORT = 977;

/**
 * Conntrack zones of queries, in the direction in which they are sent: everybody asks the same address and port, and conntrack
 * would take who asks from a port that another one has just given up for that one. Open vSwitch counts its zones from 1.
 */
export const ZONE_FIRST = 0x8000;
export const ZONE_COUNT = 0x7fff;
export const ZONE_DAEMON = 0xffff;

/** ip rules: 17700..17999, below main (32766) and above nothing of systemd, Tailscale (5200s) or wg-quick (32764). */
export const RULE_PREF_LOCAL = 17700;
export const RULE_PREF_LOCAL_UNREACHABLE = 17701;
export const RULE_PREF_UPLINK = 17710;
export const RULE_PREF_SOURCE = 17850;
export const RULE_PREF_LAST = 17999;

/** Routing tables 17701..17824: the uplink's id is added. */
export const ROUTE_TABLE_BASE = 17700;
/** Route and rule protocol (rtnetlink(7) rtm_protocol): tells our routes from everybody else's. */
export const ROUTE_PROTOCOL = 177;

/** Mark bits of a decided flow on its way: uplink value 0..127. */
export const wayMark = (uplink: number): number => (MARK_OURS | (uplink << MARK_UPLINK_SHIFT)) >>> 0;

/**
 * Conntrack mark of a flow whose owner has come into question: not decided, and not to be decided by the kernel alone, which
 * asks user space about undecided connections with any of these bits.
 */
export const MARK_ASK_AGAIN: number = (UPLINK_NONE << MARK_UPLINK_SHIFT) >>> 0;
