/**
 * Makes the fixtures of `../btf.test.ts`: a kernel's type information, cut down to the structures that are wanted. They are
 * kept whole, with whatever they hold by value; what they point to becomes void.
 *
 *     node prune-btf.mjs /sys/kernel/btf/vmlinux linux-6.18.btf        (the running kernel)
 *     node prune-btf.mjs vmlinux.btf linux-6.1.btf
 *
 * The second, for Debian's kernel: the image that `test/vm` unpacks to ~/.cache/pointsman/vm, decompressed by the kernel's
 * scripts/extract-vmlinux, then `objcopy --dump-section .BTF=vmlinux.btf vmlinux /dev/null`.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const STRUCTS = [
  'task_struct',
  'signal_struct',
  'mm_struct',
  'files_struct',
  'fdtable',
  'file',
  'inode',
  'dentry',
  'super_block',
  'pid',
  'upid',
  'linux_binprm',
  'sock_common',
];

const HEADER_BYTES = 24;
const [INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, ENUM64] = [
  1, 2, 3, 4, 5, 6, 7, 13, 14, 15, 16, 17, 19,
];
const FIXED_BYTES = { [INT]: 4, [ARRAY]: 12, [VAR]: 4, [DECL_TAG]: 4 };
const EACH_BYTES = { [STRUCT]: 12, [UNION]: 12, [ENUM]: 8, [FUNC_PROTO]: 8, [DATASEC]: 12, [ENUM64]: 12 };

const [inputPath, outputPath] = process.argv.slice(2);
if (outputPath === undefined) throw new Error('usage: prune-btf.mjs INPUT OUTPUT');
const input = readFileSync(inputPath);
const [headerBytes, typesAt, typesBytes, stringsAt] = [4, 8, 12, 16].map((offset) => input.readUInt32LE(offset));
const nameAt = (offset) => {
  const start = headerBytes + stringsAt + offset;
  return input.toString('latin1', start, input.indexOf(0, start));
};

const types = [undefined];
for (let offset = headerBytes + typesAt; offset < headerBytes + typesAt + typesBytes; ) {
  const info = input.readUInt32LE(offset + 4);
  const kind = (info >>> 24) & 0x1f;
  const length = 12 + (FIXED_BYTES[kind] ?? 0) + (EACH_BYTES[kind] ?? 0) * (info & 0xffff);
  types.push({ kind, members: info & 0xffff, bytes: input.subarray(offset, offset + length) });
  offset += length;
}

const strings = [0];
const stringOffsets = new Map([['', 0]]);
const newName = (offset) => {
  const name = nameAt(offset);
  if (!stringOffsets.has(name)) {
    stringOffsets.set(name, strings.length);
    strings.push(...Buffer.from(name, 'latin1'), 0);
  }
  return stringOffsets.get(name);
};

const kept = [];
const newIndexes = new Map([[0, 0]]);
const keep = (index) => {
  if (newIndexes.has(index)) return newIndexes.get(index);
  const { kind, members, bytes } = types[index];
  const copy = Buffer.from(bytes);
  newIndexes.set(index, kept.push(copy));
  copy.writeUInt32LE(newName(bytes.readUInt32LE(0)), 0);
  if (kind === PTR) {
    copy.writeUInt32LE(0, 8);
  } else if (kind === ARRAY) {
    for (const at of [12, 16]) copy.writeUInt32LE(keep(bytes.readUInt32LE(at)), at);
  } else if (kind === STRUCT || kind === UNION) {
    for (let at = 12; at < 12 + 12 * members; at += 12) {
      copy.writeUInt32LE(newName(bytes.readUInt32LE(at)), at);
      copy.writeUInt32LE(keep(bytes.readUInt32LE(at + 4)), at + 4);
    }
  } else if (kind === ENUM || kind === ENUM64) {
    const each = EACH_BYTES[kind];
    for (let at = 12; at < 12 + each * members; at += each) copy.writeUInt32LE(newName(bytes.readUInt32LE(at)), at);
  } else if (kind !== INT && kind !== FWD && kind !== FLOAT) {
    copy.writeUInt32LE(keep(bytes.readUInt32LE(8)), 8);
  }
  return newIndexes.get(index);
};

for (const [index, type] of types.entries()) {
  if (type?.kind === STRUCT && STRUCTS.includes(nameAt(type.bytes.readUInt32LE(0)))) keep(index);
}

const keptBytes = Buffer.concat(kept);
const header = Buffer.from(input.subarray(0, HEADER_BYTES));
[HEADER_BYTES, 0, keptBytes.length, keptBytes.length, strings.length].forEach((value, index) => {
  header.writeUInt32LE(value, 4 + 4 * index);
});
writeFileSync(outputPath, Buffer.concat([header, keptBytes, Buffer.from(strings)]));
console.log(`${outputPath}: ${kept.length} types`);
