/**
 * Messages of D-Bus (D-Bus Specification, "Message Format"): a header of fixed size, its fields, padding to 8, the body.
 *
 *    0      1     2      3        4              8         12
 *    +------+-----+------+--------+--------------+---------+-----------------+-----+------+
 *    | l, B | type| flags| version| body, bytes  | serial  | a(yv): fields   | pad | body |
 *    +------+-----+------+--------+--------------+---------+-----------------+-----+------+
 */
import { concatBytes } from '../netlink/bytes.ts';
import { DecodeError } from '../netlink/errors.ts';
import { Reader, type Value } from './decode-value.ts';
import { type Encodable, encodeValues } from './encode-value.ts';

export const METHOD_CALL = 1;
export const METHOD_RETURN = 2;
export const ERROR = 3;
export const SIGNAL = 4;

/** Of `flags`: nobody is to be started for it. */
export const NO_AUTO_START = 0x2;

const PROTOCOL_VERSION = 1;
const LITTLE_ENDIAN = 0x6c;
const BIG_ENDIAN = 0x42;
/** Without the fields. */
export const MESSAGE_HEADER_BYTES = 16;
/** The specification permits 128 MiB; all that NetworkManager says of a thousand connections is below 8 MiB. */
export const MAX_MESSAGE_BYTES: number = 16 * 1024 * 1024;

/** Field codes, and of what type each is. */
const FIELDS = {
  path: [1, 'o'],
  interface: [2, 's'],
  member: [3, 's'],
  errorName: [4, 's'],
  replySerial: [5, 'u'],
  destination: [6, 's'],
  sender: [7, 's'],
  signature: [8, 'g'],
} as const;
type Field = keyof typeof FIELDS;

export interface Header {
  readonly type: number;
  readonly flags: number;
  readonly serial: number;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  readonly errorName?: string;
  readonly replySerial?: number;
  readonly destination?: string;
  readonly sender?: string;
}

export interface Message extends Header {
  readonly body: readonly Value[];
}

export function encodeMessage(header: Header, signature = '', body: readonly Encodable[] = []): Uint8Array {
  const bodyBytes = encodeValues(signature, body);
  const known = { ...header, ...(signature !== '' && { signature }) };
  const fields = (Object.keys(FIELDS) as Field[]).flatMap((name): Encodable[] => {
    const value = (known as Partial<Record<Field, string | number>>)[name];
    const [code, type] = FIELDS[name];
    return value === undefined ? [] : [[code, { signature: type, variant: value }]];
  });
  const fixed = [LITTLE_ENDIAN, header.type, header.flags, PROTOCOL_VERSION, bodyBytes.length, header.serial];
  const head = encodeValues('yyyyuua(yv)', [...fixed, fields]);
  return concatBytes([head, new Uint8Array(-head.length & 7), bodyBytes]);
}

/**
 * How many bytes the message at the start has, header and all; undefined while that cannot be said yet. Throws DecodeError
 * where no message begins, or one that is too long: then nothing behind it can be read either.
 */
export function messageLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < MESSAGE_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const littleEndian = isLittleEndian(bytes);
  if (bytes[3] !== PROTOCOL_VERSION) throw new DecodeError(`protocol version ${bytes[3]}`);
  const fieldBytes = view.getUint32(12, littleEndian);
  const length = MESSAGE_HEADER_BYTES + Math.ceil(fieldBytes / 8) * 8 + view.getUint32(4, littleEndian);
  if (length > MAX_MESSAGE_BYTES) throw new DecodeError(`a message of ${length} bytes`);
  return length;
}

/** Just one message. Throws DecodeError. */
export function decodeMessage(bytes: Uint8Array): Message {
  if (messageLength(bytes) !== bytes.length) throw new DecodeError(`a message cut off at ${bytes.length} bytes`);
  const littleEndian = isLittleEndian(bytes);
  const reader = new Reader(bytes, littleEndian);
  const [, type, flags, , bodyBytes, serial, fields] = reader.values('yyyyuua(yv)');
  reader.align(8);
  if (reader.offset + Number(bodyBytes) !== bytes.length) throw new DecodeError('a body of another length');
  const { signature = '', ...header } = decodeFields(fields as readonly (readonly [number, Value])[]);
  const body = new Reader(bytes.subarray(reader.offset), littleEndian);
  const values = body.values(signature as string);
  if (body.offset !== Number(bodyBytes)) throw new DecodeError('a body that says more than its signature');
  return { type: Number(type), flags: Number(flags), serial: Number(serial), ...header, body: values };
}

/** Fields that are not known are passed over, as the specification wants. */
function decodeFields(fields: readonly (readonly [number, Value])[]): Partial<Record<Field, string & number>> {
  const found: Partial<Record<Field, Value>> = {};
  for (const name of Object.keys(FIELDS) as Field[]) {
    const [code, type] = FIELDS[name];
    const value = fields.find(([each]) => each === code)?.[1];
    if (value === undefined) continue;
    if (typeof value !== (type === 'u' ? 'number' : 'string')) throw new DecodeError(`${name} of another type`);
    found[name] = value;
  }
  return found as Partial<Record<Field, string & number>>;
}

function isLittleEndian(bytes: Uint8Array): boolean {
  if (bytes[0] !== LITTLE_ENDIAN && bytes[0] !== BIG_ENDIAN) throw new DecodeError('no message begins here');
  return bytes[0] === LITTLE_ENDIAN;
}
