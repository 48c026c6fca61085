/** One DNS question, and whether a message answers it (RFC 1035 sections 4.1.1 and 4.1.2). What the answer says does not matter here. */

const HEADER_BYTES = 12;
/** Recursion desired. */
const FLAGS_QUERY = 0x0100;
const FLAG_RESPONSE = 0x8000;
const TYPE_A = 1;
const CLASS_IN = 1;
const MAX_LABEL_BYTES = 63;
const MAX_NAME_BYTES = 255;

/** Asks for the IPv4 addresses of `name`, which is ASCII without a dot at its end. Throws RangeError for what is no name. */
export function encodeDnsQuestion(id: number, name: string): Uint8Array {
  const labels = name.split('.').map((label) => Uint8Array.from(label, (character) => character.charCodeAt(0)));
  const nameBytes = labels.reduce((sum, { length }) => sum + 1 + length, 1);
  const isName = labels.every(({ length }) => length > 0 && length <= MAX_LABEL_BYTES) && nameBytes <= MAX_NAME_BYTES;
  if (!isName) throw new RangeError(`no DNS name: ${name}`);
  const bytes = new Uint8Array(HEADER_BYTES + nameBytes + 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id);
  view.setUint16(2, FLAGS_QUERY);
  view.setUint16(4, 1);
  let offset = HEADER_BYTES;
  for (const label of labels) {
    view.setUint8(offset, label.length);
    bytes.set(label, offset + 1);
    offset += 1 + label.length;
  }
  view.setUint16(offset + 1, TYPE_A);
  view.setUint16(offset + 3, CLASS_IN);
  return bytes;
}

/** Whether it is a response to `question`, with whatever code: its id, and its question where it has one, are the same. */
export function isDnsResponseTo(question: Uint8Array, message: Uint8Array): boolean {
  if (message.length < HEADER_BYTES) return false;
  const [asked, said] = [viewOf(question), viewOf(message)];
  if (said.getUint16(0) !== asked.getUint16(0) || (said.getUint16(2) & FLAG_RESPONSE) === 0) return false;
  // A server that cannot read the question may leave it out (FORMERR).
  if (said.getUint16(4) === 0) return true;
  if (message.length < question.length) return false;
  return question
    .subarray(HEADER_BYTES)
    .every((byte, index) => lower(byte) === lower(message[HEADER_BYTES + index] ?? 0));
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Names are the same in either case (RFC 4343). */
const lower = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);
