/**
 * The kernel's type information (Documentation/bpf/btf.rst, linux/btf.h), as far as members of structures need it: where a
 * member is. A whole kernel's is 6 MB with 130,000 types, so nothing is built of it but an index of where each type begins.
 *
 * Every function throws BtfError, and nothing else, whatever the bytes are.
 */
import { BtfError } from './errors.ts';

const BTF_MAGIC = 0xeb9f;
const BTF_VERSION = 1;
/** `struct btf_header` of version 1; later ones may be longer. */
const HEADER_BYTES = 24;
/** `struct btf_type` and `struct btf_member`. */
const TYPE_BYTES = 12;
const MEMBER_BYTES = 12;

export const BTF_KIND_INT = 1;
export const BTF_KIND_PTR = 2;
export const BTF_KIND_ARRAY = 3;
export const BTF_KIND_STRUCT = 4;
export const BTF_KIND_UNION = 5;
export const BTF_KIND_ENUM = 6;
export const BTF_KIND_FWD = 7;
export const BTF_KIND_TYPEDEF = 8;
export const BTF_KIND_VOLATILE = 9;
export const BTF_KIND_CONST = 10;
export const BTF_KIND_RESTRICT = 11;
export const BTF_KIND_FUNC = 12;
export const BTF_KIND_FUNC_PROTO = 13;
export const BTF_KIND_VAR = 14;
export const BTF_KIND_DATASEC = 15;
export const BTF_KIND_FLOAT = 16;
export const BTF_KIND_DECL_TAG = 17;
export const BTF_KIND_TYPE_TAG = 18;
export const BTF_KIND_ENUM64 = 19;

/** Bytes after `struct btf_type`, by kind: `fixed`, and `each` for every one of `vlen`. A kind not here has no known length. */
const TRAILERS: readonly ({ readonly fixed: number; readonly each: number } | undefined)[] = (() => {
  const none = { fixed: 0, each: 0 };
  const member = { fixed: 0, each: MEMBER_BYTES };
  const four = { fixed: 4, each: 0 };
  const eight = { fixed: 0, each: 8 };
  return [
    undefined,
    four, // INT: encoding, offset and bits
    none, // PTR
    { fixed: 12, each: 0 }, // ARRAY: struct btf_array
    member, // STRUCT
    member, // UNION
    eight, // ENUM: struct btf_enum
    none, // FWD
    none, // TYPEDEF
    none, // VOLATILE
    none, // CONST
    none, // RESTRICT
    none, // FUNC
    eight, // FUNC_PROTO: struct btf_param
    four, // VAR: linkage
    { fixed: 0, each: 12 }, // DATASEC: struct btf_var_secinfo
    none, // FLOAT
    four, // DECL_TAG: component
    none, // TYPE_TAG
    { fixed: 0, each: 12 }, // ENUM64: struct btf_enum64
  ];
})();

/** The kernel's own bounds are 2^20 types and 16 MB of names (BTF_MAX_TYPE, BTF_MAX_NAME_OFFSET). */
const MAX_TYPES = 1 << 20;
/** Longest chain of typedefs and modifiers; the kernel resolves 32. */
const MAX_CHAIN = 32;
/** Structures and unions without a name inside of each other. */
const MAX_NESTING = 16;
/** Members looked at for one answer. task_struct has about 300. */
const MAX_MEMBERS = 100_000;

export interface Btf {
  readonly view: DataView;
  readonly littleEndian: boolean;
  /** Where type number `index` begins in `view`; 0 is void and has no place. */
  readonly types: Uint32Array;
  /** Names: from here in `view`, and how many bytes. */
  readonly stringsOffset: number;
  readonly stringsBytes: number;
}

/** Where a member is in its structure, in bytes. */
export interface Member {
  readonly offset: number;
  /** 0 for a flexible array. */
  readonly size: number;
  /** Number of its type, behind typedefs and modifiers. */
  readonly type: number;
}

/** `bytes` is kept, not copied. */
export function parseBtf(bytes: Uint8Array): Btf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES) throw new BtfError(`${bytes.length} bytes are less than a header`);
  const littleEndian = view.getUint16(0, true) === BTF_MAGIC;
  if (!littleEndian && view.getUint16(0, false) !== BTF_MAGIC) throw new BtfError('the magic number is missing');
  const version = view.getUint8(2);
  if (version !== BTF_VERSION) throw new BtfError(`version ${version}, not ${BTF_VERSION}`);
  const [headerBytes, typesAt, typesBytes, stringsAt, stringsBytes] = [4, 8, 12, 16, 20].map((offset) =>
    view.getUint32(offset, littleEndian),
  ) as [number, number, number, number, number];
  if (headerBytes < HEADER_BYTES) throw new BtfError(`a header of ${headerBytes} bytes`);
  const types = section(bytes.length, 'types', headerBytes + typesAt, typesBytes);
  const strings = section(bytes.length, 'names', headerBytes + stringsAt, stringsBytes);
  if (stringsBytes === 0 || view.getUint8(strings.start) !== 0 || view.getUint8(strings.end - 1) !== 0)
    throw new BtfError('the names neither begin nor end with the empty one');
  return {
    view,
    littleEndian,
    types: indexTypes(view, littleEndian, types),
    stringsOffset: strings.start,
    stringsBytes,
  };
}

interface Section {
  readonly start: number;
  readonly end: number;
}

function section(available: number, what: string, start: number, length: number): Section {
  if (start + length > available) throw new BtfError(`the ${what} end at ${start + length} of ${available} bytes`);
  return { start, end: start + length };
}

function indexTypes(view: DataView, littleEndian: boolean, { start, end }: Section): Uint32Array {
  const most = Math.min(MAX_TYPES, Math.floor((end - start) / TYPE_BYTES)) + 1;
  const offsets = new Uint32Array(most);
  let count = 1;
  for (let offset = start; offset < end; count++) {
    if (count > MAX_TYPES) throw new BtfError(`more than ${MAX_TYPES} types`);
    if (offset + TYPE_BYTES > end) throw new BtfError(`type ${count} is cut off`);
    offsets[count] = offset;
    const info = view.getUint32(offset + 4, littleEndian);
    const kind = kindOf(info);
    const trailer = TRAILERS[kind];
    if (trailer === undefined) throw new BtfError(`type ${count} is of kind ${kind}, which is not known`);
    offset += TYPE_BYTES + trailer.fixed + trailer.each * lengthOf(info);
    if (offset > end) throw new BtfError(`type ${count} is cut off`);
  }
  return offsets.slice(0, count);
}

/** Bits of `btf_type.info`. */
const kindOf = (info: number): number => (info >>> 24) & 0x1f;
const lengthOf = (info: number): number => info & 0xffff;
const hasKindFlag = (info: number): boolean => info >>> 31 === 1;

interface Type {
  readonly offset: number;
  readonly info: number;
  readonly kind: number;
  /** `size` or `type`, as the kind has it. */
  readonly sizeOrType: number;
}

function typeAt(btf: Btf, index: number): Type {
  const offset = btf.types[index];
  if (offset === undefined || offset === 0) throw new BtfError(`there is no type ${index}`);
  const info = btf.view.getUint32(offset + 4, btf.littleEndian);
  return { offset, info, kind: kindOf(info), sizeOrType: btf.view.getUint32(offset + 8, btf.littleEndian) };
}

/** The type behind typedefs, qualifiers and tags. */
function resolve(btf: Btf, index: number): { readonly index: number; readonly type: Type } {
  let at = index;
  for (let step = 0; step < MAX_CHAIN; step++) {
    const type = typeAt(btf, at);
    switch (type.kind) {
      case BTF_KIND_TYPEDEF:
      case BTF_KIND_VOLATILE:
      case BTF_KIND_CONST:
      case BTF_KIND_RESTRICT:
      case BTF_KIND_TYPE_TAG:
        at = type.sizeOrType;
        break;
      default:
        return { index: at, type };
    }
  }
  throw new BtfError(`type ${index} is more than ${MAX_CHAIN} names deep`);
}

/** Bytes of a pointer: this project's kernels are of 64 bits, and BTF does not say. */
const POINTER_BYTES = 8;

function sizeOf(btf: Btf, index: number): number {
  let count = 1;
  let at = index;
  for (let step = 0; step < MAX_CHAIN; step++) {
    const { type } = resolve(btf, at);
    switch (type.kind) {
      case BTF_KIND_INT:
      case BTF_KIND_STRUCT:
      case BTF_KIND_UNION:
      case BTF_KIND_ENUM:
      case BTF_KIND_FLOAT:
      case BTF_KIND_ENUM64:
        return checkedSize(count * type.sizeOrType);
      case BTF_KIND_PTR:
        return checkedSize(count * POINTER_BYTES);
      case BTF_KIND_ARRAY:
        at = btf.view.getUint32(type.offset + TYPE_BYTES, btf.littleEndian);
        count = checkedSize(count * btf.view.getUint32(type.offset + TYPE_BYTES + 8, btf.littleEndian));
        break;
      default:
        throw new BtfError(`type ${at} of kind ${type.kind} has no size`);
    }
  }
  throw new BtfError(`type ${index} has more than ${MAX_CHAIN} dimensions`);
}

function checkedSize(size: number): number {
  if (size > 0xffffffff) throw new BtfError(`a size of ${size} bytes`);
  return size;
}

/** Whether the name at `nameOffset` is `wanted`, which is ASCII as C is. Without making a string of it. */
function hasName(btf: Btf, nameOffset: number, wanted: string): boolean {
  if (nameOffset + wanted.length >= btf.stringsBytes) return false;
  const start = btf.stringsOffset + nameOffset;
  for (let index = 0; index < wanted.length; index++) {
    if (btf.view.getUint8(start + index) !== wanted.charCodeAt(index)) return false;
  }
  return btf.view.getUint8(start + wanted.length) === 0;
}

function* structsNamed(btf: Btf, name: string): Generator<Type> {
  for (let index = 1; index < btf.types.length; index++) {
    const offset = btf.types[index] as number;
    if (kindOf(btf.view.getUint32(offset + 4, btf.littleEndian)) !== BTF_KIND_STRUCT) continue;
    if (hasName(btf, btf.view.getUint32(offset, btf.littleEndian), name)) yield typeAt(btf, index);
  }
}

/** Size of a structure in bytes. */
export function structSize(btf: Btf, struct: string): number {
  for (const type of structsNamed(btf, struct)) return type.sizeOrType;
  throw new BtfError(`there is no struct ${struct}`);
}

/**
 * A member of a structure by name, also inside of structures and unions without a name; `a.b` is member `b` of its member
 * `a`. Of several structures with the name, the first that has it counts. Bit fields are refused.
 */
export function findMember(btf: Btf, struct: string, path: string): Member {
  const [first = '', ...rest] = path.split('.');
  let known = false;
  for (const type of structsNamed(btf, struct)) {
    known = true;
    let member = memberOf(btf, type, first);
    for (const name of rest) {
      const outer = member;
      if (outer === undefined) break;
      const inner = memberOf(btf, resolve(btf, outer.type).type, name);
      member = inner && { ...inner, offset: outer.offset + inner.offset };
    }
    if (member !== undefined) return member;
  }
  throw new BtfError(known ? `struct ${struct} has no member ${path}` : `there is no struct ${struct}`);
}

/** Offset in bytes of a member; see `findMember`. `size`: what it must be. */
export function memberOffset(btf: Btf, struct: string, path: string, size?: number): number {
  const member = findMember(btf, struct, path);
  if (size !== undefined && member.size !== size)
    throw new BtfError(`member ${path} of struct ${struct} has ${member.size} bytes, not ${size}`);
  return member.offset;
}

function memberOf(btf: Btf, struct: Type, name: string): Member | undefined {
  return searchMembers({ btf, name, membersLeft: MAX_MEMBERS }, struct, 0);
}

interface Search {
  readonly btf: Btf;
  readonly name: string;
  membersLeft: number;
}

function searchMembers(search: Search, struct: Type, nesting: number): Member | undefined {
  const { btf, name } = search;
  if (struct.kind !== BTF_KIND_STRUCT && struct.kind !== BTF_KIND_UNION) return undefined;
  if (nesting > MAX_NESTING) throw new BtfError(`structures are more than ${MAX_NESTING} deep in each other`);
  const count = lengthOf(struct.info);
  for (let index = 0; index < count; index++) {
    if (--search.membersLeft < 0) throw new BtfError(`more than ${MAX_MEMBERS} members to find ${name}`);
    const at = struct.offset + TYPE_BYTES + index * MEMBER_BYTES;
    const nameOffset = btf.view.getUint32(at, btf.littleEndian);
    if (nameOffset === 0) {
      const { type } = resolve(btf, btf.view.getUint32(at + 4, btf.littleEndian));
      const inner = searchMembers(search, type, nesting + 1);
      if (inner !== undefined) return { ...inner, offset: byteOffsetOf(btf, struct, at, name) + inner.offset };
    } else if (hasName(btf, nameOffset, name)) {
      return describeMember(btf, struct, at, name);
    }
  }
  return undefined;
}

function describeMember(btf: Btf, struct: Type, at: number, name: string): Member {
  const { index, type } = resolve(btf, btf.view.getUint32(at + 4, btf.littleEndian));
  const size = sizeOf(btf, index);
  // Without the structure's kind flag, a bit field is an integer type of fewer bits than its bytes have, or not at bit 0.
  if (type.kind === BTF_KIND_INT) {
    const encoding = btf.view.getUint32(type.offset + TYPE_BYTES, btf.littleEndian);
    if ((encoding & 0xff) !== size * 8 || ((encoding >>> 16) & 0xff) !== 0)
      throw new BtfError(`${name} is a bit field`);
  }
  return { offset: byteOffsetOf(btf, struct, at, name), size, type: index };
}

function byteOffsetOf(btf: Btf, struct: Type, at: number, name: string): number {
  const raw = btf.view.getUint32(at + 8, btf.littleEndian);
  const bits = hasKindFlag(struct.info) ? raw & 0xffffff : raw;
  const bitfieldBits = hasKindFlag(struct.info) ? raw >>> 24 : 0;
  if (bitfieldBits !== 0 || bits % 8 !== 0) throw new BtfError(`${name} is a bit field`);
  return bits / 8;
}
