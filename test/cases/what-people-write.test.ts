/**
 * What people write in files, as in other tools, and what they are told. `typed`: the hint, done as it says; that is right then, and
 * means what the person wanted.
 */
import { describe, expect, it } from 'vitest';
import type { Diagnostic } from '../../src/policy/diagnostic.ts';
import {
  parsePolicyFile,
  parseProfileFile,
  parseSystemDefaultFile,
  parseUplinkFile,
} from '../../src/policy/parse-file.ts';

type Parse = (file: string, bytes: Uint8Array) => { readonly diagnostics: readonly Diagnostic[] };

interface Row {
  readonly written: string;
  /** The hint, or a part of it that says all. */
  readonly told: string;
  readonly typed: string;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const HEAD = 'pointsman: 1\napp: a\n';

const to = (written: string, told: string, ...typed: readonly string[]): Row => ({
  written: `rules: [{ to: ${written}, do: allow }]`,
  told,
  typed: `rules: [{ to: [${typed.join(', ')}], do: allow }]`,
});

const DESTINATIONS: readonly Row[] = [
  to('443', 'a port alone stands behind a colon: to: "*:443"', '"*:443"'),
  to('any', 'every destination is "*"', '"*"'),
  to('ALL', 'every destination is "*"', '"*"'),
  to('"192.168.1.*"', 'write the network: "192.168.1.0/24"', '"192.168.1.0/24"'),
  to('"10.*.*.*"', 'write the network: "10.0.0.0/8"', '"10.0.0.0/8"'),
  to(
    '192.168.1.10-192.168.1.20',
    'write its networks: ["192.168.1.10/31", "192.168.1.12/30", "192.168.1.16/30", "192.168.1.20"]',
    '"192.168.1.10/31"',
    '"192.168.1.12/30"',
    '"192.168.1.16/30"',
    '"192.168.1.20"',
  ),
  to('0.0.0.0-255.255.255.255', 'write its networks: ["0.0.0.0/0"]', '"0.0.0.0/0"'),
  to('192.168.1.0/255.255.255.0', 'write the length of the prefix: "192.168.1.0/24"', '192.168.1.0/24'),
  to('192.168.1.7/255.255.255.0', 'write the length of the prefix: "192.168.1.0/24"', '192.168.1.0/24'),
  to('192.168.1.0/0.0.0.255', 'write the length of the prefix: "192.168.1.0/24"', '192.168.1.0/24'),
  to('10.0.0.1/8', 'the network is 10.0.0.0/8', '10.0.0.0/8'),
  to('"*:1024-"', 'did you mean 1024-65535?', '"*:1024-65535"'),
  to('"*:-1024"', 'did you mean 1-1024?', '"*:1-1024"'),
  to('"*:8100-8000"', 'did you mean 8000-8100?', '"*:8000-8100"'),
  to('example.org:https', 'did you mean 443?', 'example.org:443'),
  to('"*/47"', 'only tcp, udp and icmp are told apart, by name: "*/tcp"; "*" is every protocol', '"*"'),
  to('"fe80::1%wlan0"', 'a destination has no zone: write "fe80::1"', '"fe80::1"'),
  to('"[fe80::1%wlan0]:22"', 'a destination has no zone: write "fe80::1"', '"[fe80::1]:22"'),
  to('"2001:db8::1:443"', 'for port 443 write "[2001:db8::1]:443"', '"[2001:db8::1]:443"'),
  to('"2001:db8::1:443"', 'for the address "[2001:db8::1:443]"', '"[2001:db8::1:443]"'),
  to('https://example.org/path', 'write host and port: "example.org:443"', '"example.org:443"'),
  to('http://me@example.org:8080/', 'write host and port: "example.org:8080"', '"example.org:8080"'),
  to('example.org 443', 'write host and port: "example.org:443"', '"example.org:443"'),
  to('"a.example, b.example"', 'each destination is an entry of a list: ["a", "b"]', '"a.example"', '"b.example"'),
  to('onlink', 'all that is reached without a router is "on-link"', 'on-link'),
  to('neighbours', 'all that is reached without a router is "on-link"', 'on-link'),
  to('link-local', 'link-local addresses are "169.254.0.0/16" and "fe80::/10"', '169.254.0.0/16', '"fe80::/10"'),
  to('private', 'private networks are "lan"', 'lan'),
  to('on-lnk', 'did you mean "on-link"?', 'on-link'),
  to('localhost', 'did you mean "loopback"?', 'loopback'),
  ...['"*.example.com"', '"**.example.com"', '".example.com"', '"*.example.com:*"'].map((written) =>
    to(
      written,
      'name each host that is meant: ["example.com", "www.example.com"]',
      '"example.com"',
      '"www.example.com"',
    ),
  ),
  to('[example.com, "*.example.com"]', '["example.com", "www.example.com"]', '"example.com"', '"www.example.com"'),
  to('"example.*"', 'name each host that is meant: ["example.org", "www.example.org"]', 'example.org'),
  to('"example.com/*"', 'without a "/" it is every protocol', 'example.com'),
  to('"example.com/"', 'without a "/" it is every protocol', 'example.com'),
  ...['wan', 'public', 'external', 'not-lan', 'nolan'].map((word) =>
    to(word, 'all that is outside is "internet"', 'internet'),
  ),
  to('"tcp:443"', 'the protocol behind them: "*:443/tcp"', '"*:443/tcp"'),
  to('tcp/443', 'the protocol behind them: "*:443/tcp"', '"*:443/tcp"'),
  to('443/tcp', 'the protocol behind them: "*:443/tcp"', '"*:443/tcp"'),
  to('"udp:5000-6000"', 'the protocol behind them: "*:5000-6000/udp"', '"*:5000-6000/udp"'),
  to('443/quic', 'the protocol behind them: "*:443/udp"', '"*:443/udp"'),
  to('dns', 'a service is its port: "*:53"', '"*:53"'),
  to('HTTPS', 'a service is its port: "*:443"', '"*:443"'),
  to('gateway', 'write its address: "192.168.1.1"', '"192.168.1.1"'),
  to('broadcast', 'write its address: "255.255.255.255"', '"255.255.255.255"'),
  to('on-link/24', 'write "on-link" alone', 'on-link'),
  to('lan/16', 'write "lan" alone', 'lan'),
  to('10.0.0', 'write the network: "10.0.0.0/24"', '10.0.0.0/24'),
  to('192.168.', 'write the network: "192.168.0.0/16"', '192.168.0.0/16'),
  to('{ host: example.org, port: 443 }', 'host and ports are one text: to: "HOST:443"', '"example.org:443"'),
  to('printer', 'a host name without a dot ends in one: "printer."', '"printer."'),
];

const IN_POLICY: readonly Row[] = [
  ...['system', 'none', 'default', 'direct'].map((word) => ({
    written: `otherwise: allow\nvia: ${word}`,
    told: 'leave `via` out: without one the system routes it',
    typed: 'otherwise: allow',
  })),
  ...['unmetered', 'non-metered', 'untrusted', 'unencrypted', 'notroaming'].map((word) => {
    const flag = /(?:metered|trusted|encrypted|roaming)$/.exec(word)?.[0] ?? '';
    return {
      written: `via: { require: { ${word}: true } }`,
      told: `what is not so: ${flag}: false`,
      typed: `via: { require: { ${flag}: false } }`,
    };
  }),
  {
    written: 'rules: [{ to: "*", do: disallow }]',
    told: 'did you mean "deny"?',
    typed: 'rules: [{ to: "*", do: deny }]',
  },
  {
    written: 'match: { exec: /usr/bin/mutt }',
    told: 'a list, also of one: "- " stands before its first key, "exec"',
    typed: 'match:\n  - exec: /usr/bin/mutt',
  },
  {
    written: 'match: [{ exec: [/usr/bin/a, /usr/bin/b] }]',
    told: 'each is an entry of its own: match: [{ exec: /usr/bin/a }, { exec: /usr/bin/b }]',
    typed: 'match: [{ exec: /usr/bin/a }, { exec: /usr/bin/b }]',
  },
  {
    written: 'match: [{ script: [/usr/bin/a] }]',
    told: 'each is an entry of its own: match: [{ script: /usr/bin/a }]',
    typed: 'match: [{ script: /usr/bin/a }]',
  },
  {
    written: 'rules: { to: "*", do: allow }',
    told: 'a list, also of one: "- " stands before its first key, "to"',
    typed: 'rules:\n  - to: "*"\n    do: allow',
  },
  ...['deny', 'allow', 'drop'].map((verb) => ({
    written: `${verb}: true`,
    told: `for some destinations: rules: [{ to: HOST, do: ${verb} }]; for all others: otherwise: ${verb}`,
    typed: `rules: [{ to: example.org, do: ${verb} }]\notherwise: ${verb}`,
  })),
  {
    written: 'rules: [{ to: example.org, do: allow, port: 443 }]',
    told: 'ports stand behind the host, or behind "*": to: "HOST:443"',
    typed: 'rules: [{ to: "example.org:443", do: allow }]',
  },
  {
    written: 'rules: [{ to: example.org, do: allow, proto: tcp }]',
    told: 'the protocol stands behind the host, or behind "*": to: "HOST:443/tcp"',
    typed: 'rules: [{ to: "example.org:443/tcp", do: allow }]',
  },
  ...['require', 'prefer', 'avoid', 'prohibit'].flatMap((key) => [
    {
      written: `via: { ${key}: vpn }`,
      told: `by its type: ${key}: { type: vpn }`,
      typed: `via: { ${key}: { type: vpn } }`,
    },
    {
      written: `via: { ${key}: home }`,
      told: `by its name: ${key}: { name: home }`,
      typed: `via: { ${key}: { name: home } }`,
    },
  ]),
  {
    written: 'via: { prefer: { type: wifi }, else: cellular }',
    told: 'via: { require: { type: [FIRST, cellular] }, prefer: { type: FIRST } }',
    typed: 'via: { require: { type: [wifi, cellular] }, prefer: { type: wifi } }',
  },
  ...['allow', 'system'].map((word) => ({
    written: `via: { else: ${word} }`,
    told: 'by any other uplink that is up: else: any',
    typed: 'via: { else: any }',
  })),
  { written: 'via: { else: deny }', told: 'did you mean else: block?', typed: 'via: { else: block }' },
  {
    written: 'via: { fallback: any }',
    told: 'what to do without an uplink: else: block, wait or any',
    typed: 'via: { else: any }',
  },
  ...['local: block', 'prefer: { type: wifi }', 'else: any'].map((key) => ({
    written: key,
    told: `it stands in a via: via: { ${key.split(':')[0]}: ... }`,
    typed: `via: { ${key} }`,
  })),
  { written: 'via: { sticky: 30 }', told: 'a time has a unit: sticky: 30s', typed: 'via: { sticky: 30s }' },
  ...['yes', 'true', 'inherit'].map((word) => ({
    written: `children: ${word}`,
    told: 'did you mean children: same?',
    typed: 'children: same',
  })),
  { written: 'children: no', told: 'did you mean children: own?', typed: 'children: own' },
  ...['kill', 'close', 'reset'].map((word) => ({
    written: `existing: ${word}`,
    told: 'did you mean existing: abort?',
    typed: 'existing: abort',
  })),
  {
    written: 'rules: [{ to: vpn, do: allow }]',
    told: 'the way out stands beside it: to: "*", do: allow, via: { require: { type: vpn } }',
    typed: 'rules: [{ to: "*", do: allow, via: { require: { type: vpn } } }]',
  },
  {
    written: 'rules: [{ to: wlan0, do: allow }]',
    told: 'via: { require: { name: ... } }',
    typed: 'rules: [{ to: "*", do: allow, via: { require: { name: home } } }]',
  },
  {
    written: 'rules: [{ to: "!10.0.0.0/8", do: allow }]',
    told: 'what is not meant stands in a rule of its own before this one, with its own "do"',
    typed: 'rules: [{ to: 10.0.0.0/8, do: deny }, { to: "*", do: allow }]',
  },
  {
    written: 'via: wifi',
    told: 'for whichever uplink is of this type: via: { require: { type: wifi } }',
    typed: 'via: { require: { type: wifi } }',
  },
  {
    written: 'via: home',
    told: 'for the uplink of this name: via: { require: { name: home } }',
    typed: 'via: { require: { name: home } }',
  },
  {
    written: 'via: { local: vpn }',
    told: 'which uplink it is, `require` says; that local networks are reached by it, too: local: via',
    typed: 'via: { local: via, require: { type: vpn } }',
  },
  {
    written: 'via: { local: direct }',
    told: 'directly, as the system routes it: local: system',
    typed: 'via: { local: system }',
  },
  {
    written: 'via: { local: allow }',
    told: 'directly, as the system routes it: local: system',
    typed: 'via: { local: system }',
  },
  {
    written: 'rules: [{ to: "*", do: allow, via: { local: deny } }]',
    told: 'refused: local: block',
    typed: 'rules: [{ to: "*", do: allow, via: { local: block } }]',
  },
  {
    written: 'via: { local: false }',
    told: 'that local networks are reached by it, too: local: via',
    typed: 'via: { local: via }',
  },
  {
    written: 'via: { local: blok }',
    told: 'did you mean "block"?',
    typed: 'via: { local: block }',
  },
  {
    written: 'via: block',
    told: 'what to do without an uplink: via: { else: block }',
    typed: 'via: { else: block }',
  },
  {
    written: 'via: { require: { rtt: 30 } }',
    told: 'a bound has a sign and a unit: rtt: "<30ms"',
    typed: 'via: { require: { rtt: "<30ms" } }',
  },
  {
    written: 'via: { require: { bandwidth: 10 } }',
    told: 'a bound has a sign and a unit: bandwidth: ">=10mbit"',
    typed: 'via: { require: { bandwidth: ">=10mbit" } }',
  },
  {
    written: 'match: /usr/bin/mutt',
    told: 'an entry says of which kind it is: match: [{ exec: /usr/bin/mutt }]',
    typed: 'match: [{ exec: /usr/bin/mutt }]',
  },
  {
    written: 'match: [/usr/bin/mutt]',
    told: 'an entry says of which kind it is: match: [{ exec: /usr/bin/mutt }]',
    typed: 'match: [{ exec: /usr/bin/mutt }]',
  },
  {
    written: 'match:\n  - exec: /usr/bin/mutt\n    user: alice',
    told: 'give each kind its own "- "',
    typed: 'match:\n  - exec: /usr/bin/mutt\n  - user: alice',
  },
  {
    written: 'match: [{ exec: curl }]',
    told: 'write the whole path, as `command -v curl` prints it',
    typed: 'match: [{ exec: /usr/bin/curl }]',
  },
  {
    written: 'match: [{ exec: /usr/lib/firefox/ }]',
    told: 'a directory is no program: name the file in it',
    typed: 'match: [{ exec: /usr/lib/firefox/firefox }]',
  },
  {
    written: 'match: [{ exec: ~/bin/tool }]',
    told: 'write the home directory out',
    typed: 'match: [{ exec: /home/alice/bin/tool }]',
  },
  {
    written: 'match: [{ exe: /usr/bin/curl }]',
    told: 'did you mean "exec"?',
    typed: 'match: [{ exec: /usr/bin/curl }]',
  },
  { written: 'match: [{ process: curl }]', told: 'did you mean "exec"?', typed: 'match: [{ exec: /usr/bin/curl }]' },
  { written: 'match: [{ unit: ssh }]', told: 'did you mean ssh.service?', typed: 'match: [{ unit: ssh.service }]' },
  {
    written: 'match: [{ cgroup: system.slice }]',
    told: 'write it from the root of the hierarchy: /system.slice',
    typed: 'match: [{ cgroup: /system.slice }]',
  },
  ...['/', '//', '/.', '.', '"*"', '/*', '/sys/fs/cgroup'].map((all) => ({
    written: `match: [{ cgroup: ${all} }]`,
    told: 'all programs are in it: what holds for all stands in default.yaml (otherwise, via, accept); name one of those in it, such as /system.slice',
    typed: 'match: [{ cgroup: /system.slice }]',
  })),
  ...['/system.slice/', 'system.slice/', '/a/../system.slice', '/system.slice/./', '//system.slice'].map((written) => ({
    written: `match: [{ cgroup: ${written} }]`,
    told: 'write it from the root of the hierarchy: /system.slice',
    typed: 'match: [{ cgroup: /system.slice }]',
  })),
  ...['/sys/fs/cgroup/system.slice', '/sys/fs/cgroup/unified/system.slice'].map((written) => ({
    written: `match: [{ cgroup: ${written} }]`,
    told: 'write it so: cgroup: /system.slice',
    typed: 'match: [{ cgroup: /system.slice }]',
  })),
  {
    written: 'match: [{ cgroup: "/system.slice/ssh*.service" }]',
    told: 'name the cgroup that they are all in: what is inside is covered: cgroup: /system.slice',
    typed: 'match: [{ cgroup: /system.slice }]',
  },
  { written: 'default: deny', told: 'did you mean "otherwise"?', typed: 'otherwise: deny' },
  {
    written: 'rules: [{ to: "*", action: allow }]',
    told: 'did you mean "do"?',
    typed: 'rules: [{ to: "*", do: allow }]',
  },
  {
    written: 'rules: [{ to: "*", do: block }]',
    told: 'did you mean "deny"?',
    typed: 'rules: [{ to: "*", do: deny }]',
  },
  {
    written: 'rules:\n  - to: "*"\n   do: allow',
    told: 'line 5 begins in column 4, and what stands above it in column 5',
    typed: 'rules:\n  - to: "*"\n    do: allow',
  },
  {
    written: 'match:\n\t- exec: /usr/bin/mutt',
    told: 'line 4 begins with a tab: put spaces in its place',
    typed: 'match:\n  - exec: /usr/bin/mutt',
  },
  {
    written: 'rules:\n  - to: "*"\n\t\tdo: allow',
    told: 'line 5 begins with a tab: put spaces in its place',
    typed: 'rules:\n  - to: "*"\n    do: allow',
  },
  { written: 'accept: 22', told: 'a port alone stands behind a colon: accept: "*:22"', typed: 'accept: "*:22"' },
];

const uplink = (written: string, told: string, typed: string): Row => ({
  written: `device: wlan0\n${written}`,
  told,
  typed: `device: wlan0\n${typed}`,
});

const IN_UPLINK: readonly Row[] = [
  uplink('probe: http://x.example/', 'probe: { http: "http://x.example/" }', 'probe: { http: "http://x.example/" }'),
  uplink('probe: 192.0.2.1', 'probe: { icmp: "192.0.2.1" }', 'probe: { icmp: "192.0.2.1" }'),
  uplink(
    'probe: { http: "http://x/" }',
    'a name without a dot ends in one: "http://x./"',
    'probe: { http: "http://x./" }',
  ),
  uplink('bandwidth: 50', 'a number has a unit: bandwidth: 50mbit', 'bandwidth: 50mbit'),
  uplink('resolvers: 192.168.1.1', 'resolvers: ["192.168.1.1"]', 'resolvers: ["192.168.1.1"]'),
  uplink('networks: 10.0.0.0/8', 'networks: ["10.0.0.0/8"]', 'networks: ["10.0.0.0/8"]'),
  uplink('resolvers: ""', 'resolvers: [""]', 'resolvers: ["192.0.2.1"]'),
  uplink('gateway: 192.168.1.1', 'gateway: { v4: "192.168.1.1" }', 'gateway: { v4: "192.168.1.1" }'),
  uplink('gateway: "fe80::1"', 'gateway: { v6: "fe80::1" }', 'gateway: { v6: "fe80::1" }'),
  uplink('dns: 8.8.8.8', 'DNS servers of that network: resolvers: ["192.0.2.53"]', 'resolvers: ["192.0.2.53"]'),
  uplink('probe: yes', 'it is probed without this line: leave it out', ''),
  uplink('probe: none', 'nobody is asked: probe: "off"', 'probe: "off"'),
  uplink('probe: { interval: 10 }', 'a time has a unit: interval: 10s', 'probe: { interval: 10s }'),
  uplink('probe: { interval: "10" }', 'such as 10s or 5m', 'probe: { interval: 10s }'),
  { written: 'device: wlan*', told: 'a file for each', typed: 'device: wlan0' },
  uplink('metered: yes', 'did you mean true?', 'metered: true'),
];

const KINDS: readonly (readonly [string, string, string, Parse, readonly Row[]])[] = [
  ['a policy', 'a.yaml', HEAD, parsePolicyFile, [...DESTINATIONS, ...IN_POLICY]],
  ['an uplink', 'wifi.yaml', 'pointsman: 1\nuplink: wifi\n', parseUplinkFile, IN_UPLINK],
  [
    'a profile',
    'work.yaml',
    '',
    parseProfileFile,
    [
      {
        written: 'pointsman: "1"\nprofile: work\nwhen: [{ ssid: Work }]',
        told: 'write it without quotes: pointsman: 1',
        typed: 'pointsman: 1\nprofile: work\nwhen: [{ ssid: Work }]',
      },
      {
        written: 'profile: work\nwhen: [{ ssid: Work }]',
        told: 'the file begins with: pointsman: 1',
        typed: 'pointsman: 1\nprofile: work\nwhen: [{ ssid: Work }]',
      },
      {
        written: 'pointsman: 1\nprofile: work\nwhen: { ssid: Work }',
        told: 'a list, also of one: "- " stands before its first key, "ssid"',
        typed: 'pointsman: 1\nprofile: work\nwhen:\n  - ssid: Work',
      },
    ],
  ],
  [
    'the system default',
    'default.yaml',
    'pointsman: 1\n',
    parseSystemDefaultFile,
    [
      { written: 'otherwise: reject', told: 'did you mean "deny"?', typed: 'otherwise: deny' },
      { written: 'whenAway: deny', told: 'did you mean whenAway: closed?', typed: 'whenAway: closed' },
      { written: 'whenAway: allow', told: 'did you mean whenAway: open?', typed: 'whenAway: open' },
    ],
  ],
];

describe.each(KINDS)('in %s', (_kind, file, head, parse, rows) => {
  const lookAt = (text: string): readonly Diagnostic[] => parse(file, bytes(`${head}${text}\n`)).diagnostics;

  it.each(rows)('$written is answered with "$told", and $typed is right', ({ written, told, typed }) => {
    const found = lookAt(written);
    expect(found.map(({ hint = '' }) => hint).filter((hint) => hint.includes(told))).toHaveLength(1);
    // One mistake is told once.
    expect(found).toHaveLength(1);
    expect(lookAt(typed)).toEqual([]);
  });

  it('all of these are written in another way by every row', () => {
    expect(rows.filter(({ written, typed }) => written === typed)).toEqual([]);
  });
});

describe('what people write and what is right as it stands', () => {
  it.each(['my_bucket.example.com', '_sip._tcp.example.org', '0.0.0.0/0', '::/0', '10.0.0.1:53,853'])(
    'to: %s',
    (written) => {
      expect(parsePolicyFile('a.yaml', bytes(`${HEAD}rules: [{ to: "${written}", do: allow }]\n`)).diagnostics).toEqual(
        [],
      );
    },
  );
});
