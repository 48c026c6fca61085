/**
 * What the demo runs, as data: real programs, and what examples/lab/policies make of them.
 * Change a policy there and the step that it decides here belongs to the same change.
 */
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
  readonly expected: { readonly verdict: DemoVerdict; readonly uplink?: 'wifi' | 'cellular' | 'lan' };
}

/** Program path -> Debian package. */
export const DEMO_PROGRAMS: ReadonlyMap<string, string> = new Map([
  ['/usr/bin/curl', 'curl'],
  ['/usr/bin/nc.openbsd', 'netcat-openbsd'],
  ['/usr/bin/dig', 'bind9-dnsutils'],
  ['/usr/bin/python3', 'python3'],
  ['/usr/bin/ssh', 'openssh-client'],
  ['/usr/bin/ping', 'iputils-ping'],
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
  {
    program: 'ping',
    command: ['/usr/bin/ping', '-n', '-c', '1', '-W', '3', '203.0.113.10'],
    destination: '203.0.113.10/icmp',
    explainTo: '203.0.113.10/icmp',
    reached: /\b1 received/,
    expected: { verdict: 'allowed' },
  },
];
