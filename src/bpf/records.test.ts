import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecordError } from './errors.ts';
import { MAPS } from './maps.ts';
import {
  CGROUP_LEVELS_NOTED,
  CONFIG_BYTES,
  CREATOR_RECORD_BYTES,
  decodeConfig,
  decodeCreatorRecord,
  decodeExecutableKey,
  decodeExecutableRecord,
  decodeHelloRecord,
  decodeProgramFile,
  decodeReleasedRecord,
  decodeTaskRecord,
  decodeU32,
  decodeU64,
  decodeWaysRecord,
  describeExecutableKey,
  EXECUTABLE_KEY_BYTES,
  EXECUTABLE_KEY_FIELDS,
  type ExecutableKey,
  encodeConfig,
  encodeCreatorRecord,
  encodeExecutableKey,
  encodeExecutableRecord,
  encodeFileId,
  encodeFileName,
  encodeHelloRecord,
  encodeProgramFile,
  encodeReleasedRecord,
  encodeTaskRecord,
  encodeU32,
  encodeU64,
  encodeWaysRecord,
  fileIdOf,
  fileNameOf,
  isSameExecutable,
  NO_EXECUTABLE,
  parseExecutableKey,
} from './records.ts';

const u32 = fc.nat(0xffffffff);
const u64 = fc.bigInt({ min: 0n, max: 0xffffffffffffffffn });
const ticks = fc.nat(Number.MAX_SAFE_INTEGER);
const key = fc
  .uint8Array({ minLength: EXECUTABLE_KEY_BYTES, maxLength: EXECUTABLE_KEY_BYTES })
  .map((bytes) => decodeExecutableKey(bytes));
const children = fc.option(u32, { nil: undefined });
const command = fc.uint8Array({ maxLength: 15, min: 1 }).map((bytes) => String.fromCharCode(...bytes));

const withChildren = <T extends object>(record: T, childrenNumber: number | undefined) => ({
  ...record,
  ...(childrenNumber !== undefined && { childrenNumber }),
});

/** Name, arbitrary values, encoder and decoder; values are compared by what they decode to. */
const CODECS: readonly (readonly [
  string,
  fc.Arbitrary<unknown>,
  (value: never) => Uint8Array,
  (b: Uint8Array) => unknown,
])[] = [
  ['ExecutableKey', key, encodeExecutableKey, decodeExecutableKey],
  [
    'ExecutableRecord',
    fc.tuple(fc.record({ number: u32 }), children).map(([record, number]) => withChildren(record, number)),
    encodeExecutableRecord,
    decodeExecutableRecord,
  ],
  ['WaysRecord', fc.record({ v4: u32, v6: u32 }), encodeWaysRecord, decodeWaysRecord],
  [
    'TaskRecord',
    fc
      .tuple(
        fc.record(
          { number: u32, script: fc.boolean(), startTicks: ticks, interpreterNs: u64 },
          { requiredKeys: ['number', 'script', 'startTicks'] },
        ),
        children,
      )
      .map(([record, number]) => withChildren(record, number)),
    encodeTaskRecord,
    decodeTaskRecord,
  ],
  [
    'CreatorRecord',
    fc.record({
      executable: key,
      startTicks: ticks,
      cgroupId: u64,
      pid: u32,
      number: u32,
      uid: u32,
      gid: u32,
      command,
      cgroupIds: fc.array(
        u64.filter((id) => id !== 0n),
        { maxLength: CGROUP_LEVELS_NOTED },
      ),
    }),
    encodeCreatorRecord,
    decodeCreatorRecord,
  ],
  [
    'ReleasedRecord',
    fc.array(
      fc.record({
        cookie: u64.filter((cookie) => cookie !== 0n),
        atNs: u64,
        remotePort: fc.integer({ min: 0, max: 0xffff }),
      }),
      { maxLength: 2 },
    ),
    encodeReleasedRecord,
    decodeReleasedRecord,
  ],
  [
    'Config',
    fc.record(
      {
        netnsCookie: u64,
        pidNamespace: u64,
        pidLevel: u32,
        cgroupEpoch: u32,
        hello: fc.boolean(),
        nobody: fc.record({ number: u32.filter((number) => number > 0), inAnyCgroup: fc.boolean() }),
        scripts: fc.record({ seen: fc.boolean(), seenBeforeNs: u64, daemonPid: u32 }),
      },
      { requiredKeys: ['netnsCookie', 'pidNamespace', 'pidLevel', 'cgroupEpoch', 'hello'] },
    ),
    encodeConfig,
    decodeConfig,
  ],
  [
    'ProgramFile',
    fc.record({
      key: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => decodeExecutableKey(bytes)),
      name: fc.uint8Array({ min: 1, maxLength: 63 }).map((bytes) => fileNameOf(bytes)),
    }),
    encodeProgramFile,
    decodeProgramFile,
  ],
  [
    'HelloRecord',
    fc.record({
      task: u64,
      pidNamespace: u64,
      pidLevel: u32,
      cgroupId: u64,
      startTicks: ticks,
      threadId: u32,
      pid: u32,
    }),
    encodeHelloRecord,
    decodeHelloRecord,
  ],
  ['u32', u32, encodeU32, decodeU32],
  ['u64', u64, encodeU64, decodeU64],
];

describe('records', () => {
  it.each(CODECS)('records come back as they were: %s', (_name, values, encode, decode) => {
    fc.assert(
      fc.property(values, (value) => {
        expect(decode(encode(value as never))).toEqual(value);
      }),
    );
  });

  it.each(CODECS)('records of another length give RecordError: %s', (_name, _values, _encode, decode) => {
    let decoded = 0;
    for (let length = 0; length < 200; length++) {
      try {
        decode(new Uint8Array(length));
        decoded++;
      } catch (error) {
        expect(error).toBeInstanceOf(RecordError);
      }
    }
    expect(decoded).toBe(1);
  });

  it.each(CODECS)('records of any bytes are decoded: %s', (_name, values, encode, decode) => {
    const { length } = encode(fc.sample(values, 1)[0] as never);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: length, maxLength: length }), (bytes) => {
        expect(decode(bytes)).toBeDefined();
      }),
    );
  });

  it('records are decoded where they lie in a larger buffer', () => {
    const bytes = new Uint8Array(40).fill(0xff);
    bytes.set(encodeWaysRecord({ v4: 0x01000000, v6: 0x7f000000 }), 13);
    expect(decodeWaysRecord(bytes.subarray(13, 21))).toEqual({ v4: 0x01000000, v6: 0x7f000000 });
  });

  it('encodeCreatorRecord() lays fields out as the program writes them', () => {
    const bytes = encodeCreatorRecord({
      executable: NO_EXECUTABLE,
      startTicks: 0x0102030405,
      cgroupId: 0x1112131415161718n,
      cgroupIds: [0x61n, 0x1112131415161718n],
      pid: 0x21222324,
      number: 0x31323334,
      uid: 0x41424344,
      gid: 0x51525354,
      command: 'curl',
      mayBeChild: true,
    });
    const hex = Buffer.from(bytes).toString('hex');
    expect(hex).toBe(
      `${'00'.repeat(32)}05040302010000001817161514131211${'24232221'}${'34333231'}${'44434241'}${'54535251'}` +
        `6375726c${'00'.repeat(12)}61${'00'.repeat(7)}1817161514131211${'00'.repeat(32)}01${'00'.repeat(7)}`,
    );
    expect(CREATOR_RECORD_BYTES).toBe(136);
  });

  it('encodeConfig() lays fields out as the programs read them', () => {
    const config = { netnsCookie: 1n, pidNamespace: 2n, pidLevel: 3, cgroupEpoch: 4, hello: true };
    expect([...new Uint32Array(encodeConfig(config).buffer)]).toEqual([1, 0, 2, 0, 3, 4, 1, 0, 0, 0, 0, 0, 0, 0]);
    const nobody = { number: 5, inAnyCgroup: true };
    const scripts = { seen: true, seenBeforeNs: 6n, daemonPid: 7 };
    const words = [...new Uint32Array(encodeConfig({ ...config, nobody, scripts }).buffer)];
    expect(words).toEqual([1, 0, 2, 0, 3, 4, 1, 5, 1, 1, 6, 0, 7, 0]);
    expect(CONFIG_BYTES).toBe(56);
  });

  it('encodeProgramFile() lays fields out as the program writes them', () => {
    const key = `${'01'.repeat(31)}00` as ExecutableKey;
    const hex = Buffer.from(encodeProgramFile({ key, name: fileNameOf(Buffer.from('curl')) })).toString('hex');
    expect(hex).toBe(`${key}6375726c${'00'.repeat(60)}`);
  });

  it('fileNameOf() keeps as much of a name as the programs look at, whatever bytes it has', () => {
    expect(fileNameOf(Buffer.from('curl'))).toBe('curl');
    expect(fileNameOf(Buffer.from('naïve'))).toBe('naÃ¯ve');
    expect(fileNameOf(Buffer.from('x'.repeat(255)))).toBe('x'.repeat(63));
    expect(encodeFileName(fileNameOf(Buffer.from('x'.repeat(255)))).at(-1)).toBe(0);
  });

  it('fileIdOf() stays the same whatever is done to a file, and is another one of another file', () => {
    const [file, touched, other] = [
      `${'0a'.repeat(32)}`,
      `${'0a'.repeat(16)}${'0b'.repeat(16)}`,
      `0b${'0a'.repeat(31)}`,
    ];
    const id = (key: string) => fileIdOf(key as ExecutableKey);
    expect(id(touched)).toBe(id(file));
    expect(id(other)).not.toBe(id(file));
    expect(encodeFileId(id(file))).toEqual(new Uint8Array(16).fill(0x0a));
  });

  it.each([
    ['a negative number', () => encodeU32(-1)],
    ['33 bits', () => encodeU32(2 ** 32)],
    ['a fraction', () => encodeU32(0.5)],
    ['65 bits', () => encodeU64(1n << 64n)],
    ['a negative long number', () => encodeU64(-1n)],
    ['start ticks that are no integer', () => encodeTaskRecord({ number: 1, script: false, startTicks: 0.5 })],
    ['a long command', () => creatorNamed('sixteen letters!')],
    ['a command of more than bytes', () => creatorNamed('\u0416')],
    ['a command with an end in it', () => creatorNamed('a\0b')],
  ])('encoders refuse %s', (_what, encode) => {
    expect(encode).toThrow(RangeError);
  });
});

function creatorNamed(command: string): Uint8Array {
  const numbers = { startTicks: 0, cgroupId: 0n, cgroupIds: [], pid: 0, number: 0, uid: 0, gid: 0 };
  return encodeCreatorRecord({ executable: NO_EXECUTABLE, ...numbers, command });
}

describe('ExecutableKey', () => {
  const text = 'cbfa0300000000000000e00f01000000a48c0f680000000015cd5b0700000000';

  it('describeExecutableKey() names the parts of a key that the kernel gave', () => {
    expect(describeExecutableKey(text as ExecutableKey)).toEqual({
      inode: 260811n,
      device: 254 << 20,
      generation: 1,
      changeSeconds: 1745849508n,
      changeNanoseconds: 123456789,
    });
  });

  it('isSameExecutable() tells a file that has changed since from another', () => {
    const other = (at: number): ExecutableKey => `${text.slice(0, at)}f${text.slice(at + 1)}` as ExecutableKey;
    const { inode, device, generation, changeSeconds, changeNanoseconds } = EXECUTABLE_KEY_FIELDS;
    for (const field of [changeSeconds, changeNanoseconds])
      expect(isSameExecutable(text as ExecutableKey, other(2 * field))).toBe(true);
    for (const field of [inode, device, generation])
      expect(isSameExecutable(text as ExecutableKey, other(2 * field))).toBe(false);
  });

  it('parseExecutableKey() takes keys and nothing else', () => {
    expect(parseExecutableKey(text)).toBe(text);
    expect(parseExecutableKey(NO_EXECUTABLE)).toBe(NO_EXECUTABLE);
    for (const bad of ['', text.slice(1), `${text}0`, text.toUpperCase(), `${text.slice(0, -1)}g`, `${text}\n`]) {
      expect(parseExecutableKey(bad)).toBeUndefined();
    }
  });
});

describe('MAPS', () => {
  it.each(Object.entries(MAPS))('MAPS.%s is one that the kernel makes', (name, map) => {
    expect(map.name).toMatch(/^[a-z_]{1,15}$/);
    expect(map.name).toBe(`pm_${name}`);
    expect(map.maxEntries).toBeGreaterThan(0);
    // Aligned, as the programs read whole words.
    expect([map.keyBytes % 4, map.valueBytes % 4]).toEqual([0, 0]);
  });
});
