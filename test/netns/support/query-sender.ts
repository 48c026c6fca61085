/** Drives query-sender.py: a program that sends to a name server what no resolver library would. */
import { fileURLToPath } from 'node:url';
import { AnsweringProgram } from './answering-program.ts';
import type { Device } from './device.ts';

const SCRIPT = fileURLToPath(new URL('./query-sender.py', import.meta.url));

export interface Server {
  readonly host: string;
  readonly port: number;
}

export type SenderAnswer = { readonly ok: boolean; readonly error?: string; readonly [fact: string]: unknown };

const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

export class QuerySender extends AnsweringProgram<SenderAnswer> {
  readonly #server: Server;

  private constructor(command: readonly string[], server: Server) {
    super(command);
    this.#server = server;
  }

  /** `python` is the executable that the policy names, with what goes before it, such as setpriv. */
  static start(device: Device, python: readonly string[], server: Server): QuerySender {
    return new QuerySender(device.inside([...python, SCRIPT]), server);
  }

  /** Nobody waits for answers. */
  sendDatagrams(data: readonly Uint8Array[]): Promise<SenderAnswer> {
    return this.#do('send_datagrams', { data: data.map(hex) });
  }

  /** The same datagram, as fast as it goes, until the program ends. */
  flood(data: Uint8Array): Promise<SenderAnswer> {
    return this.#do('flood', { data: hex(data) });
  }

  /** From sockets that stay open. */
  holdQueries(data: readonly Uint8Array[]): Promise<SenderAnswer> {
    return this.#do('hold_queries', { data: data.map(hex) });
  }

  /** The first answer, as hexadecimal `answer`, to a query that is sent so often within ten seconds. */
  askDatagram(data: Uint8Array, times = 1): Promise<SenderAnswer> {
    return this.#do('ask_datagram', { data: hex(data), times });
  }

  /** What came back on each connection, as hexadecimal `answers`. */
  sendStreams(data: readonly Uint8Array[]): Promise<SenderAnswer> {
    return this.#do('send_streams', { data: data.map(hex) });
  }

  /** Idle connections, of which `opened` came to be. */
  holdConnections(count: number): Promise<SenderAnswer> {
    return this.#do('hold_connections', { count });
  }

  /** Of these, `alive` have not been ended by the server. */
  openConnections(): Promise<SenderAnswer> {
    return this.#do('open_connections', {});
  }

  #do(op: string, what: object): Promise<SenderAnswer> {
    return this.request({ op, ...this.#server, ...what });
  }
}
