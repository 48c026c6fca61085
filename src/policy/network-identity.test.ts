import { describe, expect, it } from 'vitest';
import { domainsOf, type Identity, MAX_DOMAINS, parseDomain, parseMacAddress, parseSsid } from './network-identity.ts';

const value = (identity: Identity) => (identity.ok ? identity.value : undefined);

describe('parseSsid()', () => {
  it.each(['Home', ' two words ', 'é'.repeat(16), '😀'.repeat(8), 'a'.repeat(32)])('parseSsid() takes %j', (text) => {
    expect(value(parseSsid(text))).toBe(text);
  });

  it.each(['', 'a'.repeat(33), 'é'.repeat(17), `${'😀'.repeat(8)}a`, 'caf\ufffd'])('parseSsid() refuses %j', (text) => {
    expect(parseSsid(text).ok).toBe(false);
  });
});

describe('parseMacAddress()', () => {
  it.each(['00:00:5e:00:53:0a', '00:00:5E:00:53:0A', '00-00-5e-00-53-0a'])('parseMacAddress() takes %s', (text) => {
    expect(value(parseMacAddress(text))).toBe('00:00:5e:00:53:0a');
  });

  it.each([
    ['', undefined],
    ['00:00:5e:00:53', undefined],
    ['00:00:5e:00:53:0g', undefined],
    ['00:00:5e-00:53:0a', 'did you mean 00:00:5e:00:53:0a?'],
    ['00005e00530a', 'did you mean 00:00:5e:00:53:0a?'],
    ['0000.5e00.530a', 'did you mean 00:00:5e:00:53:0a?'],
    ['01:00:5e:00:00:01', undefined],
    ['ff:ff:ff:ff:ff:ff', undefined],
  ])('parseMacAddress() refuses %j', (text, hint) => {
    const result = parseMacAddress(text);
    expect(result.ok).toBe(false);
    if (hint !== undefined) expect(result).toMatchObject({ hint });
  });
});

describe('parseDomain()', () => {
  it.each([
    ['home.example', 'home.example'],
    ['Home.Example.', 'home.example'],
    ['lan', 'lan'],
  ])('parseDomain() takes %s', (text, domain) => {
    expect(value(parseDomain(text))).toBe(domain);
  });

  it.each(['', '.', '~.', '~corp.example', 'a..b', '*.example', '-a.example', 'bücher.example', 'a'.repeat(64)])(
    'parseDomain() refuses %j',
    (text) => {
      expect(parseDomain(text).ok).toBe(false);
    },
  );

  it('parseDomain() refuses what DNS cannot hold', () => {
    expect(parseDomain(Array.from({ length: 32 }, () => 'example').join('.')).ok).toBe(false);
  });
});

describe('domainsOf()', () => {
  it('domainsOf() gives each domain once, sorted, and leaves out what is none', () => {
    expect(domainsOf(['Lan.', 'home.example', '~.', '~corp.example', '', 'lan', 'a b'])).toEqual([
      'home.example',
      'lan',
    ]);
  });

  it('domainsOf() reads a bounded number', () => {
    const many = Array.from({ length: MAX_DOMAINS + 5 }, (_, i) => `d${i}.example`);
    expect(domainsOf(many)).toHaveLength(MAX_DOMAINS);
  });
});
