import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DnsStream, dnsFrame } from './dns-stream.ts';

describe('DnsStream', () => {
  it('DnsStream gives each message whole, however the bytes arrive', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 });
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }), (sent, sizes) => {
        const bytes = Buffer.concat(sent.map(dnsFrame));
        const got: string[] = [];
        const stream = new DnsStream((message) => got.push(Buffer.from(message).toString('hex')));
        for (let at = 0, i = 0; at < bytes.length; i += 1) {
          const size = sizes[i % sizes.length] ?? 1;
          stream.take(bytes.subarray(at, at + size));
          at += size;
        }
        expect(got).toEqual(sent.map((message) => Buffer.from(message).toString('hex')));
      }),
    );
  });
});
