import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerDns, type DnsReply } from './dns-answer.ts';

const HOSTS = [{ name: 'www.example.org', v4: '203.0.113.10', v6: '2001:db8:113::10' }];
const ask = (query: Uint8Array): DnsReply | undefined => answerDns(query, HOSTS, 'example.org');

/** As dig sends it: id 0x1234, recursion desired, one question of class IN. */
function query(name: string, type: number): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
  const header = Buffer.from('123401000001000000000000', 'hex');
  return Buffer.concat([header, ...labels, Buffer.of(0, 0, type, 0, 1)]);
}

describe('answerDns', () => {
  it('answerDns() gives the address of a name, whatever its case', () => {
    const reply = ask(query('WWW.example.ORG', 1));
    expect(reply?.question).toBe('www.example.org');
    const bytes = Buffer.from(reply?.bytes ?? []);
    expect(bytes.subarray(0, 12).toString('hex')).toBe('123485000001000100000000');
    expect(bytes.subarray(-14).toString('hex')).toBe(`000100010000001e0004${'cb00710a'}`);
  });

  it('answerDns() gives the IPv6 address of a name', () => {
    const bytes = Buffer.from(ask(query('www.example.org', 28))?.bytes ?? []);
    expect(bytes.subarray(-16).toString('hex')).toBe('20010db8011300000000000000000010');
  });

  it('answerDns() says NXDOMAIN to other names and no data to other types, both with the SOA', () => {
    expect(Buffer.from(ask(query('nowhere.example.org', 1))?.bytes ?? []).readUInt16BE(2) & 0xf).toBe(3);
    const noData = Buffer.from(ask(query('www.example.org', 16))?.bytes ?? []);
    expect(noData.readUInt16BE(2) & 0xf).toBe(0);
    expect([noData.readUInt16BE(6), noData.readUInt16BE(8)]).toEqual([0, 1]);
  });

  it('answerDns() gives no answer to a truncated query, an answer, or a compressed name', () => {
    const whole = query('www.example.org', 1);
    for (let length = 0; length < whole.length; length++) expect(ask(whole.subarray(0, length))).toBeUndefined();
    const answer = Buffer.from(whole);
    answer[2] = 0x81;
    expect(ask(answer)).toBeUndefined();
    expect(ask(Buffer.concat([whole.subarray(0, 12), Buffer.of(0xc0, 0x0c, 0, 1, 0, 1)]))).toBeUndefined();
  });

  it('answerDns() ends without throwing on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const header = query('a', 1).subarray(0, 12);
        ask(bytes);
        const reply = ask(Buffer.concat([header, bytes]));
        expect(reply === undefined || reply.bytes.length > 12).toBe(true);
      }),
    );
  });
});
