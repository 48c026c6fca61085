import { describe, expect, it } from 'vitest';
import { parsePolicyFile } from './parse-file.ts';
import { MAX_COMPARISONS } from './unreached-destinations.ts';

/** `deny lan`, `allow a.example.org:443,b.example.org during night`: line and column of what is not reached. */
function unreached(lines: readonly string[]): string[] {
  const rules = lines.map((line) => {
    const [, verb, to = '', , profile] = /^(\w+) (\S+)( during (\w+))?$/.exec(line) ?? expect.fail(line);
    const listed = to.split(';').map((entry) => `"${entry}"`);
    return `  - { to: [${listed.join(', ')}], do: ${verb}${profile === undefined ? '' : `, during: ${profile}`} }`;
  });
  const text = `pointsman: 1\napp: a\nrules:\n${rules.join('\n')}\n`;
  return parsePolicyFile('f', new TextEncoder().encode(text))
    .diagnostics.filter(({ code }) => code === 'unreachable-rule')
    .map(({ line, column, message }) => {
      const [, by] = /line (\d+)/.exec(message) ?? expect.fail(message);
      const part = text.split('\n')[line - 1]?.slice(column - 1) ?? '';
      return `${line - 3}${part.startsWith('{') ? '' : ` ${/^"([^"]*)"/.exec(part)?.[1]}`} by ${Number(by) - 3}`;
    });
}

describe('unreachedDestinations()', () => {
  it.each<[string, string[], string[]]>([
    ['an address of the group', ['deny lan', 'allow 192.168.1.5'], ['2 by 1']],
    ['a network of the group, and a port of it', ['deny lan', 'allow 10.1.0.0/16:22/tcp'], ['2 by 1']],
    ['an address of IPv6', ['deny lan', 'allow [fd00::1]:443'], ['2 by 1']],
    ['a group that is in a network', ['deny 0.0.0.0/0;::/0', 'allow multicast'], ['2 by 1']],
    ['one of two entries', ['deny lan', 'allow 192.168.1.5;192.0.2.1'], ['2 192.168.1.5 by 1']],
    ['what two rules have together', ['deny 10.0.0.0/9', 'deny 10.128.0.0/9', 'allow 10.0.0.0/8'], ['3 by 2']],
    ['everything, group by group', ['deny lan', 'deny multicast', 'deny internet', 'allow *'], ['4 by 3']],
    ['a name, twice', ['allow a.example.org', 'deny a.example.org'], ['2 by 1']],
    ['a name behind everything', ['deny *', 'allow a.example.org'], ['2 by 1']],
    ['on-link, twice', ['deny on-link:80', 'allow on-link:80/tcp'], ['2 by 1']],
    ['what cannot leave the link', ['deny on-link', 'allow fe80::/10'], ['2 by 1']],
    ['a rule that would hold at times', ['deny lan', 'allow 10.1.2.3 during night'], ['2 by 1']],
    ['ports of a range', ['deny *:1-1023', 'allow lan:80,443'], ['2 by 1']],
    ['one warning for all that follows everything', ['deny *', 'allow lan', 'allow multicast'], ['2 by 1']],
    ['loopback behind loopback', ['deny loopback', 'allow 127.0.0.53:53'], ['2 by 1']],
  ])('unreachedDestinations() has %s', (_, lines, expected) => {
    expect(unreached(lines)).toEqual(expected);
  });

  it.each<[string, string[]]>([
    ['the narrower one first', ['allow 192.168.1.5', 'deny lan']],
    ['another port', ['deny lan:80', 'allow 192.168.1.5:443']],
    ['every port behind one', ['deny lan:80', 'allow lan']],
    ['another protocol', ['deny lan/tcp', 'allow lan/udp']],
    ['every protocol behind TCP and UDP', ['deny lan/tcp', 'deny lan/udp', 'allow lan']],
    ['more than the group', ['deny lan', 'allow 192.0.0.0/8']],
    ['a rule behind one that holds at times', ['deny lan during night', 'allow 192.168.1.5']],
    ['loopback behind everything, which has no say there', ['deny *', 'allow loopback']],
    ['a name that may point elsewhere', ['deny lan', 'allow printer.example.org']],
    ['a name of which a refusal means less', ['deny a.example.org', 'allow a.example.org']],
    ['what is on link, in whatever group', ['deny lan', 'allow on-link']],
    ['a private network that may be on no link', ['deny on-link', 'allow 192.168.0.0/16']],
    ['what was not believed to be on link', ['allow on-link', 'deny on-link']],
  ])('unreachedDestinations() has nothing of %s', (_, lines) => {
    expect(unreached(lines)).toEqual([]);
  });

  it('unreachedDestinations() ends where a file would take too long', () => {
    const entries = (network: number): string =>
      Array.from({ length: 1000 }, (_, i) => `100.${network}.${i >> 8}.${i & 255}`).join(';');
    const lines = ['deny lan', 'deny 10.0.0.1', `deny ${entries(64)}`, 'deny 10.0.0.2'];
    expect(unreached(lines)).toEqual(['2 by 1', '4 by 1']);
    expect(1000 * 1000).toBeGreaterThan(MAX_COMPARISONS);
    expect(unreached([...lines, `deny ${entries(65)}`, 'deny 10.0.0.3'])).toEqual(['2 by 1', '4 by 1']);
  });
});
