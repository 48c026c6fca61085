import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatAddress } from '../net/address.ts';
import { asksBySocket, configuredResolvers, upstreamResolvers } from './resolvers.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'resolvers-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('configuredResolvers()', () => {
  it('reads the addresses of nameserver lines, those on loopback apart', () => {
    const path = join(dir, 'resolv.conf');
    writeFileSync(
      path,
      '# nameserver 192.0.2.1\nsearch lan\nnameserver 192.0.2.53\nnameserver\t2001:db8::53%eth0\nnameserver 127.0.0.53\nnameserver no\n',
    );
    const { resolvers, loopback } = configuredResolvers(path);
    expect(resolvers.map(formatAddress)).toEqual(['192.0.2.53', '2001:db8::53']);
    expect(loopback.map(formatAddress)).toEqual(['127.0.0.53']);
  });

  it('is empty where there is no file', () => {
    expect(configuredResolvers(join(dir, 'missing'))).toEqual({ resolvers: [], loopback: [] });
  });
});

describe('upstreamResolvers()', () => {
  it('are the configured ones, and with a stub alone those that it asks', () => {
    const [conf, upstream] = [join(dir, 'resolv.conf'), join(dir, 'upstream')];
    writeFileSync(upstream, 'nameserver 192.0.2.1\nnameserver ::1\n');
    const of = (text: string): string[] => {
      writeFileSync(conf, text);
      return upstreamResolvers(configuredResolvers(conf), upstream).map(formatAddress);
    };
    expect(of('nameserver 192.0.2.53\n')).toEqual(['192.0.2.53']);
    expect(of('nameserver 127.0.0.53\n')).toEqual(['192.0.2.1']);
    expect(of('')).toEqual([]);
  });
});

describe('asksBySocket()', () => {
  it('says whether nsswitch.conf names resolve for hosts', () => {
    const path = join(dir, 'nsswitch.conf');
    const says = (text: string): boolean => {
      writeFileSync(path, text);
      return asksBySocket(path);
    };
    expect(says('passwd: files\nhosts: mymachines resolve [!UNAVAIL=return] files dns\n')).toBe(true);
    expect(says('hosts: files dns\n')).toBe(false);
    expect(says('hosts: files dns # resolve\nnetworks: resolve\n')).toBe(false);
    expect(asksBySocket(join(dir, 'missing'))).toBe(false);
  });
});
