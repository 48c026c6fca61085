/**
 * The lab's servers, one process for each namespace that has some.
 * `node servers.js net|lan LOGFILE`; writes "ready" on stdout when all of them listen.
 */
import { createSocket } from 'node:dgram';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { answerDns } from './dns-answer.ts';
import { openSeenLog, type Seen } from './server-log.ts';
import { DNS_HOST, DNS_ZONE, INTERNET_HOSTS, LAN_HOSTS } from './world.ts';

const HTTP_PORTS = [80, 8080];
const ECHO_PORT = 7;
const DNS_PORT = 53;
/** Ports that greet, as far as their clients wait for a greeting, then echo. */
const GREETINGS: Readonly<Record<number, string>> = {
  22: 'SSH-2.0-pointsman-lab\r\n',
  443: '',
  5222: '',
  993: '* OK pointsman lab IMAP4rev1\r\n',
};
const IDLE_TIMEOUT_MS = 120_000;
const MAX_BODY_BYTES = 100_000_000;
const MAX_DNS_MESSAGE_BYTES = 4096;

type Log = (seen: Seen) => void;

async function main([place, logPath]: readonly string[]): Promise<void> {
  if ((place !== 'net' && place !== 'lan') || logPath === undefined)
    throw new Error('usage: servers.js net|lan LOGFILE');
  const log = openSeenLog(logPath);
  const hosts = place === 'net' ? INTERNET_HOSTS : LAN_HOSTS;
  const listening = hosts.flatMap((host) => [host.v4, host.v6]).flatMap((address) => serveHost(address, log));
  if (place === 'net') listening.push(...[DNS_HOST.v4, DNS_HOST.v6].flatMap((address) => serveDns(address, log)));
  await Promise.all(listening);
  process.stdout.write('ready\n');
}

// Each address has its own sockets: from a wildcard socket, UDP answers would leave with another address than asked.
function serveHost(address: string, log: Log): Promise<void>[] {
  return [
    ...HTTP_PORTS.map((port) => listen(withLog(createHttpServer(answerHttp), log), address, port)),
    listen(withLog(createTcpServer(greet), log), address, ECHO_PORT),
    ...Object.keys(GREETINGS).map((port) => listen(withLog(createTcpServer(greet), log), address, Number(port))),
    serveUdp(address, ECHO_PORT, (message, seen) => {
      log(seen);
      return message;
    }),
  ];
}

function serveDns(address: string, log: Log): Promise<void>[] {
  const answer = (query: Uint8Array, seen: Seen): Uint8Array | undefined => {
    const reply = answerDns(query, [...INTERNET_HOSTS, ...LAN_HOSTS], DNS_ZONE);
    log(reply === undefined ? seen : { ...seen, question: reply.question });
    return reply?.bytes;
  };
  const tcp = createTcpServer((socket) => answerDnsStream(socket, answer));
  return [listen(tcp, address, DNS_PORT), serveUdp(address, DNS_PORT, answer)];
}

function listen(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port }, resolve);
  });
}

function withLog(server: Server, log: Log): Server {
  return server.on('connection', (socket: Socket) => {
    log(seenFrom(socket));
  });
}

function seenFrom(socket: Socket): Seen {
  return {
    timeMs: Date.now(),
    protocol: 'tcp',
    server: socket.localAddress ?? '',
    port: socket.localPort ?? 0,
    client: socket.remoteAddress ?? '',
  };
}

/** `/` says the client's address, `/json` all of it, `/bytes/N` sends N bytes, `/generate_204` has no content. */
function answerHttp(request: IncomingMessage, response: ServerResponse): void {
  const { socket, url = '/' } = request;
  const bytes = /^\/bytes\/(\d{1,9})$/.exec(url);
  if (bytes !== null) {
    sendBytes(response, Math.min(Number(bytes[1]), MAX_BODY_BYTES));
    return;
  }
  if (url === '/generate_204') {
    response.writeHead(204).end();
    return;
  }
  if (url === '/json') {
    const { client: address, server, port } = seenFrom(socket);
    response.setHeader('content-type', 'application/json');
    response.end(`${JSON.stringify({ address, server, port, host: request.headers.host ?? null })}\n`);
    return;
  }
  response.setHeader('content-type', 'text/plain');
  response.end(`${socket.remoteAddress}\n`);
}

function sendBytes(response: ServerResponse, bytes: number): void {
  const chunk = Buffer.alloc(16 * 1024);
  response.setHeader('content-length', bytes);
  let leftBytes = bytes;
  const more = (): void => {
    while (leftBytes > 0) {
      const part = chunk.subarray(0, leftBytes);
      leftBytes -= part.length;
      if (!response.write(part)) return;
    }
    response.end();
  };
  response.on('drain', more);
  more();
}

function greet(socket: Socket): void {
  socket.on('error', () => socket.destroy());
  socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
  const greeting = GREETINGS[socket.localPort ?? 0];
  if (greeting !== undefined && greeting !== '') socket.write(greeting);
  // A real ssh client would wait for a key exchange that never comes.
  if (socket.localPort === 22) socket.once('data', () => socket.end());
  else socket.pipe(socket);
}

function answerDnsStream(socket: Socket, answer: (query: Uint8Array, seen: Seen) => Uint8Array | undefined): void {
  let pending: Buffer = Buffer.alloc(0);
  socket.on('error', () => socket.destroy());
  socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const lengthBytes = pending.readUInt16BE(0);
      const reply = answer(pending.subarray(2, 2 + lengthBytes), seenFrom(socket));
      pending = pending.subarray(2 + lengthBytes);
      if (reply !== undefined)
        socket.write(Buffer.concat([Uint8Array.of(reply.length >> 8, reply.length & 0xff), reply]));
    }
    if (pending.length > MAX_DNS_MESSAGE_BYTES) socket.destroy();
  });
}

function serveUdp(
  address: string,
  port: number,
  answer: (message: Uint8Array, seen: Seen) => Uint8Array | undefined,
): Promise<void> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (message, from) => {
    const seen: Seen = { timeMs: Date.now(), protocol: 'udp', server: address, port, client: from.address };
    const reply = answer(message, seen);
    // A client that is gone by now is its own affair.
    if (reply !== undefined) socket.send(reply, from.port, from.address, () => undefined);
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ port, address, exclusive: true }, () => {
      // An ICMP error about an earlier answer must not end the server.
      socket.off('error', reject).on('error', () => undefined);
      resolve();
    });
  });
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 1;
  process.exit();
});
