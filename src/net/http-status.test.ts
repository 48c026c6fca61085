import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeHttpGet, isCaptivePortal, readHttpStatus } from './http-status.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

describe('encodeHttpGet()', () => {
  it('encodeHttpGet() asks for the page and no more', () => {
    const text = Buffer.from(encodeHttpGet('a.example:8080', '/generate_204?x')).toString();
    expect(text).toMatch(/^GET \/generate_204\?x HTTP\/1\.1\r\nHost: a\.example:8080\r\n/);
    expect(text).toMatch(/\r\nConnection: close\r\n\r\n$/);
  });
});

describe('readHttpStatus()', () => {
  it.each([
    ['HTTP/1.1 204 No Content\r\n', 204],
    ['HTTP/1.0 302\r\n', 302],
    ['HTTP/1.1 200 ', 200],
    ['', undefined],
    ['HTTP/1.1 20', undefined],
    ['HTTP/1.1 204', undefined],
    ['HTTP/2 204 \r\n', 'not HTTP'],
    ['SSH-2.0-OpenSSH\r\n', 'not HTTP'],
    ['HTTP/1.1 999 \r\n', 'not HTTP'],
    [`${'x'.repeat(64)}`, 'not HTTP'],
  ])('readHttpStatus() reads %j', (text, status) => {
    expect(readHttpStatus(bytes(text))).toBe(status);
  });

  it('readHttpStatus() takes any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (given) => {
        const status = readHttpStatus(given);
        expect(typeof status === 'number' ? status >= 100 && status < 600 : status !== null).toBe(true);
      }),
    );
  });
});

describe('isCaptivePortal()', () => {
  it.each([
    [204, false],
    [200, true],
    [302, true],
    [403, true],
    [511, true],
    [500, undefined],
    [503, undefined],
  ])('isCaptivePortal() says of status %i: %s', (status, portal) => {
    expect(isCaptivePortal(status)).toBe(portal);
  });
});
