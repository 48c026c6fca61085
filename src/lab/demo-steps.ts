/**
 * What the demo runs, as data: real programs, and what examples/lab/policies make of them.
 * Change a policy there and the step that it decides here belongs to the same change.
 */
import type { LabUplinkName } from './world.ts';

export type DemoVerdict = 'allowed' | 'refused' | 'dropped' | 'no uplink';

export interface DemoStep {
  /** What a person would type; `command` has the options that keep a demo short. */
  readonly program: string;
  /** An absolute path first, so that wrappers in PATH change nothing. */
  readonly command: readonly string[];
  readonly input?: string;
  readonly destination: string;
  /** The same for `explain`: HOST:PORT[/PROTOCOL] with the address that the program connects to. */
  readonly explainTo: string;
  /** What the program prints, on either stream, when it reached the other end. */
  readonly reached: RegExp;
  /** Which line of the servers' log is this connection's. Absent where no server writes one (ICMP). */
  readonly seen?: {
    readonly protocol: 'tcp' | 'udp';
    readonly server: string;
    readonly port: number;
    readonly question?: string;
  };
  readonly expected: { readonly verdict: DemoVerdict; readonly uplink?: LabUplinkName | 'lan' };
}

/** A step of the demo's second part, and what happens to the links before it. */
export interface OutageStep extends DemoStep {
  readonly after: { readonly uplink: LabUplinkName; readonly change: 'down' | 'up' };
}

/** Program path -> Debian package. */
export const DEMO_PROGRAMS: ReadonlyMap<string, string> = new Map([
  ['/usr/bin/curl', 'curl'],
  ['/usr/bin/nc.openbsd', 'netcat-openbsd'],
  ['/usr/bin/dig', 'bind9-dnsutils'],
  ['/usr/bin/python3', 'python3'],
  ['/usr/bin/ssh', 'openssh-client'],
  ['/usr/bin/ping', 'iputils-ping'],
  ['/usr/bin/perl', 'perl-base'],
  ['/usr/bin/wget', 'wget'],
]);

const CURL = ['/usr/bin/curl', '-sS', '--max-time', '5'];
const NC = ['/usr/bin/nc.openbsd', '-n'];
const SSH_OPTIONS = ['ConnectTimeout=5', 'BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null'];
const SSH = ['/usr/bin/ssh', '-F', 'none', ...SSH_OPTIONS.flatMap((option) => ['-o', option])];
const FETCH = [
  'import sys, urllib.request',
  'print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode(), end="")',
].join('\n');
const AN_ADDRESS = /^[0-9a-f.:]+$/m;
const SSH_ANSWERED = /closed by|reset by|kex_exchange|banner/i;

const CHAT = [
  'use IO::Socket::IP;',
  'my $to = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => 5222, Timeout => 5) or die "$@\n";',
  'print $to "hello\n"; print scalar <$to>;',
].join('\n');

const NEWS_BY_IPV4: DemoStep = {
  program: 'wget',
  command: ['/usr/bin/wget', '-nv', '-T5', '-t1', '-O-', 'http://203.0.113.10/'],
  destination: '203.0.113.10:80',
  explainTo: '203.0.113.10:80',
  reached: AN_ADDRESS,
  seen: { protocol: 'tcp', server: '203.0.113.10', port: 80 },
  expected: { verdict: 'allowed', uplink: 'wifi' },
};
const NEWS_BY_IPV6: DemoStep = {
  ...NEWS_BY_IPV4,
  command: [...NEWS_BY_IPV4.command.slice(0, -1), 'http://[2001:db8:113::10]/'],
  destination: '[2001:db8:113::10]:80',
  explainTo: '[2001:db8:113::10]:80',
  seen: { protocol: 'tcp', server: '2001:db8:113::10', port: 80 },
};
const CHAT_BY_IPV4: DemoStep = {
  program: 'perl',
  command: ['/usr/bin/perl', '-e', CHAT, '203.0.113.60'],
  destination: '203.0.113.60:5222',
  explainTo: '203.0.113.60:5222',
  reached: /^hello$/m,
  seen: { protocol: 'tcp', server: '203.0.113.60', port: 5222 },
  expected: { verdict: 'allowed', uplink: 'vpn' },
};
const CHAT_BY_IPV6: DemoStep = {
  ...CHAT_BY_IPV4,
  command: [...CHAT_BY_IPV4.command.slice(0, -1), '2001:db8:113::60'],
  destination: '[2001:db8:113::60]:5222',
  explainTo: '[2001:db8:113::60]:5222',
  seen: { protocol: 'tcp', server: '2001:db8:113::60', port: 5222 },
};
const BROWSER_BY_IPV4: DemoStep = {
  program: 'curl',
  command: [...CURL, 'http://203.0.113.10/'],
  destination: '203.0.113.10:80',
  explainTo: '203.0.113.10:80',
  reached: AN_ADDRESS,
  seen: { protocol: 'tcp', server: '203.0.113.10', port: 80 },
  expected: { verdict: 'allowed', uplink: 'wifi' },
};

export const DEMO_STEPS: readonly DemoStep[] = [
  {
    program: 'curl -4',
    command: [...CURL, '-4', 'http://www.example.org/'],
    destination: 'www.example.org:80',
    explainTo: '203.0.113.10:80',
    reached: AN_ADDRESS,
    seen: { protocol: 'tcp', server: '203.0.113.10', port: 80 },
    expected: { verdict: 'allowed', uplink: 'wifi' },
  },
  {
    program: 'curl -6',
    command: [...CURL, '-6', 'http://www.example.org/'],
    destination: 'www.example.org:80',
    explainTo: '[2001:db8:113::10]:80',
    reached: AN_ADDRESS,
    seen: { protocol: 'tcp', server: '2001:db8:113::10', port: 80 },
    expected: { verdict: 'allowed', uplink: 'wifi' },
  },
  {
    program: 'curl -4',
    command: [...CURL, '-4', 'http://tracker.example.org/'],
    destination: 'tracker.example.org:80',
    explainTo: '203.0.113.40:80',
    reached: AN_ADDRESS,
    seen: { protocol: 'tcp', server: '203.0.113.40', port: 80 },
    expected: { verdict: 'refused' },
  },
  {
    program: 'curl',
    command: [...CURL, 'http://192.168.77.10/'],
    destination: '192.168.77.10:80',
    explainTo: '192.168.77.10:80',
    reached: AN_ADDRESS,
    seen: { protocol: 'tcp', server: '192.168.77.10', port: 80 },
    expected: { verdict: 'allowed', uplink: 'lan' },
  },
  {
    program: 'nc',
    command: [...NC, '-N', '-w', '3', '203.0.113.10', '7'],
    input: 'hello\n',
    destination: '203.0.113.10:7',
    explainTo: '203.0.113.10:7/tcp',
    reached: /^hello$/m,
    seen: { protocol: 'tcp', server: '203.0.113.10', port: 7 },
    expected: { verdict: 'allowed', uplink: 'cellular' },
  },
  {
    program: 'nc -6',
    command: [...NC, '-N', '-w', '3', '2001:db8:113::10', '7'],
    input: 'hello\n',
    destination: '[2001:db8:113::10]:7',
    explainTo: '[2001:db8:113::10]:7/tcp',
    reached: /^hello$/m,
    seen: { protocol: 'tcp', server: '2001:db8:113::10', port: 7 },
    expected: { verdict: 'allowed', uplink: 'cellular' },
  },
  {
    program: 'nc -u',
    command: [...NC, '-u', '-w', '1', '203.0.113.10', '7'],
    input: 'hello\n',
    destination: '203.0.113.10:7/udp',
    explainTo: '203.0.113.10:7/udp',
    reached: /^hello$/m,
    seen: { protocol: 'udp', server: '203.0.113.10', port: 7 },
    expected: { verdict: 'allowed', uplink: 'cellular' },
  },
  {
    program: 'nc',
    command: [...NC, '-w', '2', '203.0.113.20', '993'],
    destination: '203.0.113.20:993',
    explainTo: '203.0.113.20:993/tcp',
    reached: /^\* OK/m,
    seen: { protocol: 'tcp', server: '203.0.113.20', port: 993 },
    expected: { verdict: 'dropped' },
  },
  {
    program: 'dig',
    command: ['/usr/bin/dig', '+short', '+tries=1', '+time=3', '@203.0.113.53', 'demo.example.org'],
    destination: '203.0.113.53:53/udp',
    explainTo: '203.0.113.53:53/udp',
    reached: /^203\.0\.113\.50$/m,
    seen: { protocol: 'udp', server: '203.0.113.53', port: 53, question: 'demo.example.org' },
    expected: { verdict: 'allowed', uplink: 'wifi' },
  },
  {
    program: 'python3',
    command: ['/usr/bin/python3', '-c', FETCH, 'http://updates.example.org/'],
    destination: 'updates.example.org:80',
    explainTo: '[2001:db8:113::30]:80',
    reached: AN_ADDRESS,
    seen: { protocol: 'tcp', server: '2001:db8:113::30', port: 80 },
    expected: { verdict: 'allowed', uplink: 'wifi' },
  },
  {
    program: 'ssh',
    command: [...SSH, '-4', 'www.example.org'],
    destination: 'www.example.org:22',
    explainTo: '203.0.113.10:22',
    reached: SSH_ANSWERED,
    seen: { protocol: 'tcp', server: '203.0.113.10', port: 22 },
    expected: { verdict: 'refused' },
  },
  {
    program: 'ssh',
    command: [...SSH, '-4', 'updates.example.org'],
    destination: 'updates.example.org:22',
    explainTo: '203.0.113.30:22',
    reached: SSH_ANSWERED,
    seen: { protocol: 'tcp', server: '203.0.113.30', port: 22 },
    expected: { verdict: 'no uplink' },
  },
  CHAT_BY_IPV4,
  CHAT_BY_IPV6,
  {
    program: 'ping',
    command: ['/usr/bin/ping', '-n', '-c', '1', '-W', '3', '203.0.113.10'],
    destination: '203.0.113.10/icmp',
    explainTo: '203.0.113.10/icmp',
    reached: /\b1 received/,
    expected: { verdict: 'allowed' },
  },
];

const NO_UPLINK: DemoStep['expected'] = { verdict: 'no uplink' };
const WIFI_DOWN: OutageStep['after'] = { uplink: 'wifi', change: 'down' };
const WIFI_UP: OutageStep['after'] = { uplink: 'wifi', change: 'up' };
const VPN_DOWN: OutageStep['after'] = { uplink: 'vpn', change: 'down' };
const VPN_UP: OutageStep['after'] = { uplink: 'vpn', change: 'up' };

/** What happens when wifi goes, and comes back. The vpn's own packets go by wifi. */
export const OUTAGE_STEPS: readonly OutageStep[] = [
  { ...NEWS_BY_IPV4, after: WIFI_UP },
  { ...NEWS_BY_IPV4, after: WIFI_DOWN, expected: { verdict: 'allowed', uplink: 'cellular' } },
  { ...NEWS_BY_IPV6, after: WIFI_DOWN, expected: { verdict: 'allowed', uplink: 'cellular' } },
  { ...BROWSER_BY_IPV4, after: WIFI_DOWN, expected: NO_UPLINK },
  { ...CHAT_BY_IPV4, after: WIFI_DOWN, expected: NO_UPLINK },
  { ...NEWS_BY_IPV4, after: WIFI_UP },
  { ...BROWSER_BY_IPV4, after: WIFI_UP },
  { ...CHAT_BY_IPV4, after: VPN_DOWN, expected: NO_UPLINK },
  { ...CHAT_BY_IPV4, after: VPN_UP },
];
