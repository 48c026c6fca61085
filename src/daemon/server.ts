/**
 * HTTP on the unix socket. Node's own server and nothing of the web's Request and Response: they alone bring several megabytes
 * of code into the daemon.
 */

import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { API_VERSION } from '../api/request.ts';
import type { Background } from '../kernel/background.ts';
import type { Reader } from '../store/may-read.ts';
import { permittedPeer } from './access.ts';
import { streamLines } from './event-stream.ts';
import { readBody } from './request-body.ts';
import { answerTo, type Control, TOO_MANY_WATCHERS } from './routes.ts';

const MAX_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 10_000;
/** sun_path of unix(7), without its final zero byte. */
const MAX_SOCKET_PATH_BYTES = 107;
const SOCKET_MODE = 0o660;
const RUN_DIR_MODE = 0o755;

export interface ServerOptions {
  readonly background: Background;
  readonly socketPath: string;
  /** Members may connect. */
  readonly groupId: number | undefined;
}

/** The listening server; disposing of it ends all connections and removes the socket. */
export class ControlServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #socketPath: string;

  private constructor(server: Server, socketPath: string) {
    this.#server = server;
    this.#socketPath = socketPath;
  }

  /** The caller holds the instance lock: a socket that is there is a dead one's. Rejects where it cannot listen. */
  static async listen(control: Control, { background, socketPath, groupId }: ServerOptions): Promise<ControlServer> {
    if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
      throw new Error(`the path of the control socket is longer than ${MAX_SOCKET_PATH_BYTES} bytes: ${socketPath}`);
    }
    const permitted = new WeakMap<Socket, Reader>();
    const server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS },
      background.handler((incoming: IncomingMessage, outgoing: ServerResponse) => {
        // A client that goes away has no answer, and harms nobody.
        for (const stream of [incoming, outgoing])
          stream.on(
            'error',
            background.handler(() => undefined),
          );
        return serve(control, background, permitted.get(incoming.socket), incoming, outgoing);
      }),
    );
    server.maxConnections = MAX_CONNECTIONS;
    server.on(
      'connection',
      background.handler((socket: Socket) => {
        const peer = permittedPeer(socket, groupId);
        if (peer !== undefined) permitted.set(socket, peer);
      }),
    );
    mkdirSync(dirname(socketPath), { recursive: true, mode: RUN_DIR_MODE });
    rmSync(socketPath, { force: true });
    await listening(server, socketPath);
    // A connection that could not be taken; the next one may be.
    server.on('error', background.hear);
    chmodSync(socketPath, SOCKET_MODE);
    if (groupId !== undefined) chownSync(socketPath, 0, groupId);
    return new ControlServer(server, socketPath);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Node removes the socket itself, but not where somebody moved it.
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
    rmSync(this.#socketPath, { force: true });
  }
}

/** Answers one request. */
async function serve(
  control: Control,
  background: Background,
  reader: Reader | undefined,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { method = '', url = '' } = incoming;
  const path = url.split('?', 1)[0] ?? '';
  const permitted = reader !== undefined;
  const answer = await answerTo(control, {
    permitted,
    ...(reader !== undefined && { reader }),
    method,
    path,
    body: () => readBody(incoming),
  });
  if (permitted) outgoing.setHeader('pointsman-api', API_VERSION);
  switch (answer.kind) {
    case 'json':
      sendJson(incoming, outgoing, answer.status, answer.body);
      break;
    case 'text':
      send(incoming, outgoing, { status: 200, type: answer.type, text: answer.text });
      break;
    case 'events':
      sendEvents(control, background, incoming, outgoing);
      break;
  }
}

function sendJson(incoming: IncomingMessage, outgoing: ServerResponse, status: number, body: object): void {
  send(incoming, outgoing, { status, type: 'application/json', text: JSON.stringify(body) });
}

interface Whole {
  readonly status: number;
  /** Media type. */
  readonly type: string;
  readonly text: string;
}

function send(incoming: IncomingMessage, outgoing: ServerResponse, { status, type, text }: Whole): void {
  // What was not read of the request would be taken for the next one.
  if (!incoming.complete) outgoing.setHeader('connection', 'close');
  outgoing.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  outgoing.end(text);
}

function sendEvents(
  { events, nowMs }: Control,
  background: Background,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): void {
  const stop = streamLines(events, nowMs, (line, onTaken) => outgoing.write(line, onTaken));
  if (stop === undefined) {
    sendJson(incoming, outgoing, 503, TOO_MANY_WATCHERS);
    return;
  }
  outgoing.once('close', background.handler(stop));
  outgoing.writeHead(200, { 'content-type': 'application/x-ndjson' });
  // A watcher is told that it watches, even where nothing happens for hours.
  outgoing.flushHeaders();
}

function listening(server: Server, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // Nobody but root until the mode is set.
    const before = process.umask(0o177);
    server.listen(socketPath, () => {
      server.off('error', reject);
      resolve();
    });
    process.umask(before);
  });
}
