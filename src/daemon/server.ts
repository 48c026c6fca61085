/**
 * HTTP on the unix socket. Node's own server and nothing of the web's Request and Response: they alone bring several megabytes
 * of code into the daemon.
 */

import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { API_VERSION, type ApiError } from '../api/request.ts';
import type { Background } from '../kernel/background.ts';
import type { PeerCredentials } from '../kernel/peer-credentials.ts';
import { permittedPeer } from './access.ts';
import { type ControlConnection, ControlConnections } from './control-connections.ts';
import { streamLines } from './event-stream.ts';
import { readBody } from './request-body.ts';
import { RequestTurns } from './request-turns.ts';
import { answerTo, type Control, NOT_PERMITTED, TOO_MANY_CONNECTIONS, TOO_MANY_WATCHERS } from './routes.ts';

/** Who is refused has so long to read that; of more than so many at once, nobody is told. */
const REFUSED_FOR_MS = 1000;
const MAX_REFUSED = 32;
/** sun_path of unix(7), without its final zero byte. */
const MAX_SOCKET_PATH_BYTES = 107;
/** The group of a file that nobody has given to another one is root's own, which does not make a user root. */
const ROOT_MODE = 0o600;
const GROUP_MODE = 0o660;
const RUN_DIR_MODE = 0o755;

export interface ServerOptions {
  readonly background: Background;
  readonly socketPath: string;
  /** Members may connect. */
  readonly groupId: number | undefined;
  /** A user is refused a connection, or one is ended that he has. */
  readonly onShareFull: (uid: number) => void;
}

interface Asked extends Admitted {
  readonly background: Background;
  readonly turns: RequestTurns;
}

/** Whose a connection is that has been let in. */
interface Admitted {
  readonly peer: PeerCredentials;
  readonly connection: ControlConnection;
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
  static async listen(
    control: Control,
    { background, socketPath, groupId, onShareFull }: ServerOptions,
  ): Promise<ControlServer> {
    if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
      throw new Error(`the path of the control socket is longer than ${MAX_SOCKET_PATH_BYTES} bytes: ${socketPath}`);
    }
    const connections = new ControlConnections(background, onShareFull);
    const admitted = new WeakMap<Socket, Admitted>();
    const turns = new RequestTurns();
    const refuse = refuser(background);
    const server = createServer(
      background.handler((incoming: IncomingMessage, outgoing: ServerResponse) => {
        // A client that goes away has no answer, and harms nobody.
        for (const stream of [incoming, outgoing])
          stream.on(
            'error',
            background.handler(() => undefined),
          );
        const client = admitted.get(incoming.socket);
        // Whoever is not let in has his answer.
        if (client === undefined) return undefined;
        if (!client.connection.begin()) return incoming.socket.destroy();
        return serve(control, { background, turns, ...client }, incoming, outgoing).catch((fault: unknown) => {
          incoming.socket.destroy();
          client.connection.answered();
          throw fault;
        });
      }),
    );
    server.on(
      'connection',
      background.handler((socket: Socket) => {
        // Before it counts: who may not ask takes nobody's place.
        const peer = permittedPeer(socket, groupId);
        if (peer === undefined) return refuse(socket, 403, NOT_PERMITTED);
        const connection = connections.take(peer.uid, socket);
        if (connection === undefined) return refuse(socket, 503, TOO_MANY_CONNECTIONS);
        admitted.set(socket, { peer, connection });
      }),
    );
    mkdirSync(dirname(socketPath), { recursive: true, mode: RUN_DIR_MODE });
    rmSync(socketPath, { force: true });
    await listening(server, socketPath);
    // A connection that could not be taken; the next one may be.
    server.on('error', background.hear);
    if (groupId !== undefined) chownSync(socketPath, 0, groupId);
    chmodSync(socketPath, groupId === undefined ? ROOT_MODE : GROUP_MODE);
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

/** Says so in HTTP, whatever was asked, and ends the connection. */
function refuser(background: Background): (socket: Socket, status: number, error: ApiError) => void {
  let refused = 0;
  return (socket, status, error) => {
    socket.on(
      'error',
      background.handler(() => undefined),
    );
    if (refused >= MAX_REFUSED) {
      socket.destroy();
      return;
    }
    refused += 1;
    const late = background.timeout(() => socket.destroy(), REFUSED_FOR_MS);
    socket.once(
      'close',
      background.handler(() => {
        refused -= 1;
        clearTimeout(late);
      }),
    );
    const body = JSON.stringify(error);
    const head = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  };
}

/** Answers one request. */
async function serve(
  control: Control,
  asked: Asked,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { turns, peer, connection } = asked;
  const { method = '', url = '' } = incoming;
  const path = url.split('?', 1)[0] ?? '';
  const isClosed = new Promise<void>((resolve) => outgoing.once('close', resolve));
  if (incoming.complete) connection.requested();
  const body = async (mostBytes?: number): Promise<string> => {
    const text = await readBody(incoming, mostBytes);
    connection.requested();
    return text;
  };
  const answer = await turns.run(
    peer.uid,
    () => !outgoing.destroyed,
    () => answerTo(control, { permitted: true, reader: peer, method, path, body }),
  );
  // Whoever asked has gone.
  if (answer === undefined) return connection.answered();
  outgoing.setHeader('pointsman-api', API_VERSION);
  if (answer.kind !== 'events') connection.answering();
  switch (answer.kind) {
    case 'json':
      sendJson(incoming, outgoing, answer.status, answer.body);
      break;
    case 'text':
      send(incoming, outgoing, { status: 200, type: answer.type, text: answer.text });
      break;
    case 'events':
      sendEvents(control, asked, incoming, outgoing);
      break;
  }
  await isClosed;
  connection.answered();
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
  { events, clock }: Control,
  { background, peer, connection }: Asked,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): void {
  const stop = streamLines(events, clock, {
    uid: peer.uid,
    write: (line, onTaken) => outgoing.write(line, onTaken),
    end: (line) => {
      connection.answering();
      outgoing.end(line);
    },
  });
  if (stop === undefined) {
    connection.answering();
    sendJson(incoming, outgoing, 503, TOO_MANY_WATCHERS);
    return;
  }
  connection.requested();
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
