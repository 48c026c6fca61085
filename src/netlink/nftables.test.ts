import { describe, expect, it } from 'vitest';
import { u64 } from './bytes.ts';
import { capturedMessage } from './captured-messages.ts';
import { decodeMessages } from './message.ts';
import {
  decodeGeneration,
  decodeTableOfEvent,
  encodeBatch,
  encodeGenerationGet,
  NFTABLES_GENERATION,
} from './nftables.ts';
import { encodeElementAdd, NFT_JUMP } from './nftables-element.ts';
import { NFPROTO_INET } from './uapi.ts';

describe('encodeBatch()', () => {
  it('stands around its requests and numbers them', () => {
    const request = { type: 0x0a0c, flags: 5, body: new Uint8Array(4) };
    const messages = decodeMessages(encodeBatch({ requests: [request, request], sequence: 10 }));
    expect(messages.map(({ type, sequence }) => [type, sequence])).toEqual([
      [16, 10],
      [0x0a0c, 11],
      [0x0a0c, 12],
      [17, 13],
    ]);
  });

  it('writes what a kernel took', () => {
    const data = { kind: 'verdict', verdict: NFT_JUMP, chain: 'a' } as const;
    const set = { family: NFPROTO_INET, table: 't', set: 'byapp' };
    const requests = encodeElementAdd(set, [{ key: u64(443n), data, timeoutMs: 60_000 }], { ifExists: 'fail' });
    expect(Buffer.from(encodeBatch({ requests, sequence: 200 })).toString('hex')).toBe(
      [
        '1400000010000100c8000000000000000000000a',
        '640000000c0a0506c9000000000000000100000006000100740000000a00020062796170700000003c000380',
        '38000180100001800c000100bb010000000000000c000400000000000000ea60180002801400028008000100fffffffd0600020061000000',
        '1400000011000100ca000000000000000000000a',
      ].join(''),
    );
  });

  it('names the generation that it builds on', () => {
    const [begin] = decodeMessages(encodeBatch({ requests: [], sequence: 1, generation: 3 }));
    expect([...(begin?.body ?? [])]).toEqual([0, 0, 0, 10, 8, 0, 1, 0, 0, 0, 0, 3]);
  });
});

describe('decodeGeneration()', () => {
  it('reads who changed the ruleset', () => {
    const message = capturedMessage('generation');
    expect(message.type).toBe(NFTABLES_GENERATION);
    expect(decodeGeneration(message)).toEqual({ generation: 3, pid: 28240, processName: 'node' });
  });
});

describe('encodeGenerationGet()', () => {
  it('asks for one answer', () => {
    expect(encodeGenerationGet()).toEqual({ type: 0x0a10, flags: 1, body: new Uint8Array(4) });
  });
});

describe('decodeTableOfEvent()', () => {
  const SET = { family: NFPROTO_INET, table: 'pointsman', set: 'names' };
  const [added] = encodeElementAdd(SET, [{ key: u64(1n) }], { ifExists: 'fail' });

  it('decodeTableOfEvent() is the table of whatever was changed, and nothing for a generation', () => {
    const message = { type: added?.type ?? 0, flags: 0, sequence: 0, portId: 0, body: added?.body ?? new Uint8Array() };
    expect(decodeTableOfEvent(message)).toBe('pointsman');
    expect(decodeTableOfEvent({ ...message, type: NFTABLES_GENERATION })).toBeUndefined();
    // Of conntrack, where 1 is something else.
    expect(decodeTableOfEvent({ ...message, type: 0x0100 })).toBeUndefined();
  });
});
