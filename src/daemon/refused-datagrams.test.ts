import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../net/protocol.ts';
import type { ConntrackEntry } from '../netlink/conntrack.ts';
import { UPLINK_INBOUND, wayMark } from '../plan/reserved.ts';
import { MAX_REFUSED_DATAGRAMS, RefusedDatagrams } from './refused-datagrams.ts';

const peer = parseAddress('203.0.113.9');
if (peer === undefined) throw new RangeError('no address');
const entry = (id: number, protocol = IPPROTO_UDP): ConntrackEntry => {
  const original = { protocol, source: peer, destination: peer, sourcePort: 4000, destinationPort: 53 };
  return { original, reply: original, id, mark: wayMark(UPLINK_INBOUND), zone: 0, status: 0 };
};
const WAY = { way: UPLINK_INBOUND };

describe('RefusedDatagrams', () => {
  it('RefusedDatagrams knows what the mark said, of datagrams alone, until the entry is gone', () => {
    const refused = new RefusedDatagrams();
    refused.refuse(entry(1));
    refused.refuse(entry(2, IPPROTO_TCP));
    expect(refused.markOf({ ...entry(1), mark: 0 })).toMatchObject(WAY);
    expect([refused.markOf(entry(2, IPPROTO_TCP)), refused.markOf(entry(3))]).toEqual([undefined, undefined]);
    refused.keepOnly([entry(1)]);
    expect(refused.markOf(entry(1))).toMatchObject(WAY);
    refused.keepOnly([entry(3)]);
    expect(refused.markOf(entry(1))).toBeUndefined();
  });

  it('RefusedDatagrams is bounded, and forgets none for others', () => {
    const refused = new RefusedDatagrams();
    for (let id = 0; id <= MAX_REFUSED_DATAGRAMS; id += 1) refused.refuse(entry(id));
    expect(refused.markOf(entry(0))).toMatchObject(WAY);
    expect(refused.markOf(entry(MAX_REFUSED_DATAGRAMS))).toBeUndefined();
  });
});
