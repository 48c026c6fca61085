/** DNS over TCP: each message behind its length in 16 bits (RFC 1035 section 4.2.2). */
import { MAX_DNS_MESSAGE_BYTES } from '../net/dns-message.ts';

const LENGTH_BYTES = 2;

/** Throws RangeError for what is longer than any message. */
export function dnsFrame(message: Uint8Array): Uint8Array {
  if (message.length > MAX_DNS_MESSAGE_BYTES) throw new RangeError(`${message.length} bytes are no DNS message`);
  const frame = new Uint8Array(LENGTH_BYTES + message.length);
  new DataView(frame.buffer).setUint16(0, message.length);
  frame.set(message, LENGTH_BYTES);
  return frame;
}

/** Cuts what arrives into messages. Keeps one message at most, which its length bounds to 64 KiB. */
export class DnsStream {
  readonly #onMessage: (bytes: Uint8Array) => void;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(onMessage: (bytes: Uint8Array) => void) {
    this.#onMessage = onMessage;
  }

  take(chunk: Uint8Array): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const length = LENGTH_BYTES + ((bytes[0] ?? 0) << 8) + (bytes[1] ?? 0);
      if (bytes.length < LENGTH_BYTES || bytes.length < length) break;
      this.#onMessage(bytes.subarray(LENGTH_BYTES, length));
      bytes = bytes.subarray(length);
    }
    this.#rest = bytes.slice();
  }
}
