/** A client's connection to a D-Bus daemon by a unix socket: method calls, and the signals it has asked for. */

import { createConnection, type Socket } from 'node:net';
import type { Value } from '../dbus/decode-value.ts';
import type { Encodable } from '../dbus/encode-value.ts';
import {
  decodeMessage,
  ERROR,
  encodeMessage,
  MESSAGE_HEADER_BYTES,
  METHOD_CALL,
  METHOD_RETURN,
  type Message,
  messageLength,
  NO_AUTO_START,
  SIGNAL,
} from '../dbus/message.ts';
import type { Background } from '../kernel/background.ts';
import { DecodeError } from '../netlink/errors.ts';

/** The bus is not there, refuses, does not answer, or answers with an error. */
export class BusError extends Error {
  override readonly name = 'BusError';
}

export interface BusCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature?: string;
  readonly body?: readonly Encodable[];
}

export interface BusListener {
  readonly onSignal: (signal: Message) => void;
  /** Once, when it has ended without having been disposed of. */
  readonly onClose: (error: BusError) => void;
}

const ANSWER_WITHIN_MS = 10_000;
/** Of the lines before the first message; the specification's own limit. */
const MAX_LINE_BYTES = 16_384;
const CRLF = '\r\n';
export const BUS_NAME = 'org.freedesktop.DBus';
const BUS: Pick<BusCall, 'destination' | 'path' | 'interface'> = {
  destination: BUS_NAME,
  path: '/org/freedesktop/DBus',
  interface: BUS_NAME,
};

interface Waiting {
  readonly resolve: (body: readonly Value[]) => void;
  readonly reject: (error: BusError) => void;
  readonly late: NodeJS.Timeout;
}

export class BusConnection implements Disposable {
  readonly #socket: Socket;
  readonly #listener: BusListener;
  readonly #background: Background;
  readonly #waiting = new Map<number, Waiting>();
  #serial = 0;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #state: 'opening' | 'open' | 'disposed' | 'ended' = 'opening';
  /** Set until the bus has said who we are. */
  #authenticated: { readonly resolve: () => void; readonly reject: (error: BusError) => void } | undefined;

  private constructor(socket: Socket, listener: BusListener, background: Background) {
    this.#background = background;
    this.#socket = socket;
    this.#listener = listener;
    socket.on(
      'data',
      background.handler((chunk: Buffer) => this.#hear(chunk)),
    );
    socket.on(
      'error',
      background.handler((error: Error) => this.#end(new BusError(error.message, { cause: error }))),
    );
    socket.on(
      'close',
      background.handler(() => this.#end(new BusError('the bus has closed the connection'))),
    );
  }

  /** Rejects with BusError. */
  static async open(socketPath: string, listener: BusListener, background: Background): Promise<BusConnection> {
    const connection = new BusConnection(createConnection({ path: socketPath }), listener, background);
    try {
      await connection.#authenticate();
      await connection.callBus('Hello');
      connection.#state = 'open';
      return connection;
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  /** Nobody is started for it. Resolves with the answer's body, rejects with BusError. */
  call({ signature, body, ...header }: BusCall): Promise<readonly Value[]> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'ended') return reject(new BusError('the connection has ended'));
      this.#serial += 1;
      const serial = this.#serial;
      const late = this.#background
        .timeout(() => {
          this.#waiting.delete(serial);
          reject(new BusError(`${header.destination} does not answer ${header.member}`));
        }, ANSWER_WITHIN_MS)
        .unref();
      this.#waiting.set(serial, { resolve, reject, late });
      const call = { type: METHOD_CALL, flags: NO_AUTO_START, serial, ...header };
      this.#socket.write(encodeMessage(call, signature, body));
    });
  }

  /** A method of the bus itself. */
  callBus(member: string, signature = '', body: readonly Encodable[] = []): Promise<readonly Value[]> {
    return this.call({ ...BUS, member, signature, body });
  }

  /** Hears the signals that a rule describes from now on. Rejects with BusError. */
  async match(rule: Readonly<Record<string, string>>): Promise<void> {
    const text = Object.entries(rule).map(([key, value]) => `${key}='${value}'`);
    await this.callBus('AddMatch', 's', [text.join()]);
  }

  [Symbol.dispose](): void {
    if (this.#state !== 'ended') this.#state = 'disposed';
    this.#end(new BusError('the connection was ended'));
  }

  /** By the credentials of the socket: SASL's EXTERNAL (RFC 4422 appendix A), with the uid's digits in hexadecimal. */
  #authenticate(): Promise<void> {
    const uid = Buffer.from(`${process.geteuid?.() ?? 0}`).toString('hex');
    return new Promise((resolve, reject) => {
      this.#authenticated = { resolve, reject };
      this.#socket.write(`\0AUTH EXTERNAL ${uid}${CRLF}`);
    });
  }

  #hear(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#receivedBytes += chunk.length;
    try {
      while (this.#authenticated === undefined ? this.#takeMessage() : this.#takeLine()) {
        // The next one, as long as there is one.
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#end(new BusError(`the bus says what is no message: ${error.message}`, { cause: error }));
    }
  }

  /** As one piece. */
  #joined(): Buffer {
    const [first] = this.#received;
    const whole = this.#received.length === 1 && first !== undefined ? first : Buffer.concat(this.#received);
    this.#received = [whole];
    return whole;
  }

  #drop(bytes: number): void {
    this.#received = [this.#joined().subarray(bytes)];
    this.#receivedBytes -= bytes;
  }

  #takeLine(): boolean {
    const bytes = this.#joined();
    const end = bytes.indexOf(CRLF);
    if (end < 0 && bytes.length > MAX_LINE_BYTES) throw new DecodeError('a line without an end');
    if (end < 0) return false;
    const line = bytes.toString('latin1', 0, end);
    this.#drop(end + CRLF.length);
    const waiting = this.#authenticated;
    this.#authenticated = undefined;
    if (line.startsWith('OK ')) {
      this.#socket.write(`BEGIN${CRLF}`);
      waiting?.resolve();
    } else waiting?.reject(new BusError(`the bus does not let us in: ${line}`));
    return true;
  }

  #takeMessage(): boolean {
    const [first] = this.#received;
    if (first === undefined || this.#receivedBytes < MESSAGE_HEADER_BYTES) return false;
    // Parts of a long message are joined once, when all are there.
    const length = messageLength(first.length < MESSAGE_HEADER_BYTES ? this.#joined() : first);
    if (length === undefined || this.#receivedBytes < length) return false;
    const message = decodeMessage(this.#joined().subarray(0, length));
    this.#drop(length);
    this.#take(message);
    return true;
  }

  #take(message: Message): void {
    const waiting = this.#waiting.get(message.replySerial ?? 0);
    switch (message.type) {
      case SIGNAL:
        this.#listener.onSignal(message);
        return;
      case METHOD_RETURN:
      case ERROR:
        if (waiting === undefined) return;
        this.#waiting.delete(message.replySerial ?? 0);
        clearTimeout(waiting.late);
        if (message.type === METHOD_RETURN) waiting.resolve(message.body);
        else waiting.reject(new BusError(`${message.errorName}: ${message.body[0] ?? ''}`));
        return;
      default:
        // Calls of others: nothing is offered here, and who asks will see that.
        return;
    }
  }

  #end(error: BusError): void {
    if (this.#state === 'ended') return;
    const wasOpen = this.#state === 'open';
    this.#state = 'ended';
    this.#socket.destroy();
    this.#authenticated?.reject(error);
    this.#authenticated = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject, late } of waiting) {
      clearTimeout(late);
      reject(error);
    }
    if (wasOpen) this.#listener.onClose(error);
  }
}

/** Where the system's bus listens: DBUS_SYSTEM_BUS_ADDRESS, or the place that the specification gives. */
export function systemBusPath(address: string | undefined = process.env.DBUS_SYSTEM_BUS_ADDRESS): string {
  const path = /(?:^|;)unix:(?:[^;]*,)?path=([^,;]+)/.exec(address ?? '')?.[1];
  return path ?? '/var/run/dbus/system_bus_socket';
}
