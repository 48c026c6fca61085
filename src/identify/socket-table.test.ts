import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { parseSocketTable } from './socket-table.ts';

const RAW6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   58: 00000000000000000000000000000000:003A 0120000AB80D0100000000000100007F:0000 07 00000000:00000000 00:00000000 00000000  1000        0 12345 2 0000000000000000 0
`;
const ICMP = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  115: 0100007F:1234 00000000:0000 07 00000000:00000000 00:00000000 00000000     7        0 999 2 0000000000000000 0
`;

describe('parseSocketTable', () => {
  it('parseSocketTable reads a ping socket: address, echo identifier, uid, inode', () => {
    expect(parseSocketTable(ICMP, 'LE')).toEqual([
      { local: parseAddress('127.0.0.1'), remote: parseAddress('0.0.0.0'), localPort: 0x1234, uid: 7, inode: 999 },
    ]);
  });

  it('parseSocketTable reads IPv6 addresses word by word', () => {
    const [socket] = parseSocketTable(RAW6, 'LE');
    expect(socket).toMatchObject({
      local: parseAddress('::'),
      remote: parseAddress('a00:2001:1:db8::7f00:1'),
      localPort: 58,
    });
  });

  it('parseSocketTable reads the words of a big-endian machine as they stand', () => {
    expect(parseSocketTable(ICMP.replace('0100007F', '7F000001'), 'BE')[0]?.local).toEqual(parseAddress('127.0.0.1'));
  });

  it('parseSocketTable finds no socket in text that is no table', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => parseSocketTable(text, 'LE').length === 0));
  });
});
