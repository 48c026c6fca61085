import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_ATTRIBUTE_PAYLOAD } from './attribute.ts';
import { readU64, u32, u64 } from './bytes.ts';
import { capturedMessage } from './captured-messages.ts';
import type { NetlinkRequest } from './message.ts';
import {
  decodeElements,
  encodeElementAdd,
  encodeElementDelete,
  encodeElementDump,
  NFT_GOTO,
  NFT_JUMP,
  NFT_RETURN,
  NFTABLES_NEW_ELEMENTS,
  type SetElement,
} from './nftables-element.ts';
import { NF_ACCEPT, NF_DROP, NFPROTO_INET } from './uapi.ts';

const SET = { family: NFPROTO_INET, table: 't', set: 's' };

function decoded(requests: readonly NetlinkRequest[]): readonly SetElement[] {
  return requests.flatMap((request) => decodeElements({ ...request, sequence: 0, portId: 0 }).elements);
}

const register = fc.uint8Array({ minLength: 1, maxLength: 64 });
const data = fc.oneof(
  fc.record({ kind: fc.constant('value' as const), bytes: register }),
  fc.record(
    {
      kind: fc.constant('verdict' as const),
      verdict: fc.constantFrom(NF_ACCEPT, NF_DROP, NFT_JUMP, NFT_GOTO, NFT_RETURN),
      chain: fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme-ascii' }),
    },
    { requiredKeys: ['kind', 'verdict'] },
  ),
);
const element = fc.record(
  {
    key: fc.uint8Array({ maxLength: 64 }),
    keyEnd: register,
    intervalEnd: fc.constant(true),
    data,
    timeoutMs: fc.integer({ min: 0, max: 2 ** 40 }),
  },
  { requiredKeys: ['key'] },
);

describe('decodeElements()', () => {
  it('reads a verdict map keyed by cgroup', () => {
    const { elements, ...set } = decodeElements(capturedMessage('elementsVerdict'));
    expect(set).toEqual({ family: NFPROTO_INET, table: 't', set: 'byapp' });
    const verdict = { kind: 'verdict', verdict: NFT_JUMP, chain: 'a' };
    expect(elements).toEqual([{ key: u64(443n), data: verdict, timeoutMs: 60_000, expiresInMs: 60_000 }]);
  });

  it('reads a map to marks, key and value in host order', () => {
    const [only] = decodeElements(capturedMessage('elementsMark')).elements;
    expect(only && readU64(only.key)).toBe(443n);
    expect(only?.data).toEqual({ kind: 'value', bytes: u32(0x81000007) });
  });

  it('reads all verdicts', () => {
    const { elements } = decodeElements(capturedMessage('elementsVerdicts'));
    expect(elements.map((each) => each.data)).toEqual([
      { kind: 'verdict', verdict: NF_ACCEPT },
      { kind: 'verdict', verdict: NF_DROP },
      { kind: 'verdict', verdict: NFT_GOTO, chain: 'a' },
      { kind: 'verdict', verdict: NFT_RETURN },
    ]);
  });

  it('reads time-outs in milliseconds', () => {
    expect(decodeElements(capturedMessage('elementsTimeout')).elements).toEqual([
      { key: new Uint8Array([192, 0, 2, 1]), timeoutMs: 5000, expiresInMs: 4992 },
      { key: new Uint8Array([192, 0, 2, 2]) },
    ]);
  });

  it('reads intervals, alone and in concatenations', () => {
    expect(decodeElements(capturedMessage('elementsInterval')).elements).toEqual([
      { key: new Uint8Array([11, 0, 0, 0]), intervalEnd: true },
      { key: new Uint8Array([10, 0, 0, 0]) },
    ]);
    expect(decodeElements(capturedMessage('elementsConcatenation')).elements).toEqual([
      { key: new Uint8Array([10, 0, 0, 0, 0, 80, 0, 0]), keyEnd: new Uint8Array([10, 0, 0, 255, 0, 90, 0, 0]) },
    ]);
  });
});

describe('encodeElementAdd()', () => {
  it('is the inverse of decodeElements()', () => {
    fc.assert(
      fc.property(fc.array(element, { maxLength: 5 }), (elements) => {
        expect(decoded(encodeElementAdd(SET, elements, { ifExists: 'keep' }))).toEqual(elements);
      }),
    );
  });

  it('splits what does not fit one attribute, in order', () => {
    const elements = Array.from({ length: 5000 }, (_, index) => ({ key: u32(index), timeoutMs: 1000 }));
    const requests = encodeElementAdd(SET, elements, { ifExists: 'keep' });
    expect(requests.length).toBeGreaterThan(1);
    for (const { body } of requests) expect(body.length).toBeLessThan(MAX_ATTRIBUTE_PAYLOAD + 40);
    expect(decoded(requests)).toEqual(elements);
  });

  it('asks for nothing where there are no elements', () => {
    expect(encodeElementAdd(SET, [], { ifExists: 'keep' })).toEqual([]);
  });

  it('keeps or fails as asked', () => {
    const flags = (ifExists: 'keep' | 'fail') => encodeElementAdd(SET, [{ key: u32(1) }], { ifExists })[0]?.flags;
    expect([flags('keep'), flags('fail')]).toEqual([0x405, 0x605]);
  });
});

describe('encodeElementDelete()', () => {
  it('names keys alone', () => {
    fc.assert(
      fc.property(fc.array(element, { maxLength: 5 }), (elements) => {
        const keys = elements.map(({ data: _data, timeoutMs: _timeoutMs, ...key }) => key);
        expect(decoded(encodeElementDelete(SET, elements))).toEqual(keys);
      }),
    );
  });
});

describe('encodeElementDump()', () => {
  it('names the set', () => {
    const request = encodeElementDump(SET);
    expect(request).toMatchObject({ type: 0x0a0d, flags: 0x301 });
    const message = { ...request, type: NFTABLES_NEW_ELEMENTS, sequence: 0, portId: 0 };
    expect(decodeElements(message)).toEqual({ ...SET, elements: [] });
  });
});
