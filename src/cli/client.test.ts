import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openClient } from './client.ts';
import { EXIT } from './exit-code.ts';

const NEVER = new AbortController().signal;

let directory = '';
let servers: (http.Server | Server)[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pointsman-client-'));
});

afterEach(async () => {
  for (const server of servers) {
    if (server instanceof http.Server) server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  servers = [];
  rmSync(directory, { recursive: true });
});

async function listen<T extends http.Server | Server>(server: T): Promise<string> {
  const path = join(directory, 'pointsman.sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  servers.push(server);
  return path;
}

const daemon = (answer: http.RequestListener): Promise<string> => listen(http.createServer(answer));

describe('openClient', () => {
  it('openClient gives the JSON that the daemon answers', async () => {
    const path = await daemon((request, answer) => answer.end(JSON.stringify({ asked: request.url })));
    expect(await openClient(path).get('/v1/status')).toEqual({ asked: '/v1/status' });
  });

  it('openClient posts JSON and takes an empty answer', async () => {
    const bodies: string[] = [];
    const path = await daemon((request, answer) => {
      request.on('data', (chunk: Buffer) => bodies.push(`${request.headers['content-type']} ${chunk}`));
      request.on('end', () => answer.writeHead(204).end());
    });
    expect(await openClient(path).post('/v1/reload', { confirmMs: 5 })).toEqual({});
    expect(bodies).toEqual(['application/json {"confirmMs":5}']);
  });

  it('openClient says that the daemon is not running where there is no socket', async () => {
    const failure = openClient(join(directory, 'none.sock')).get('/v1/status');
    await expect(failure).rejects.toMatchObject({
      exitCode: EXIT.notRunning,
      message: 'the daemon is not running',
      hint: 'sudo pointsman up',
    });
  });

  it('openClient says that the daemon is not running where nobody listens any more', async () => {
    const path = join(directory, 'file.sock');
    writeFileSync(path, '');
    await expect(openClient(path).get('/v1/status')).rejects.toMatchObject({ exitCode: EXIT.notRunning });
  });

  it('openClient names the group where the daemon refuses', async () => {
    const path = await daemon((_request, answer) => answer.writeHead(403).end());
    await expect(openClient(path).get('/v1/status')).rejects.toMatchObject({
      exitCode: EXIT.notPermitted,
      message: expect.stringContaining('group pointsman') as unknown,
    });
  });

  it('openClient hands on message and hint of an ApiError', async () => {
    const error = { code: 'apply-failed', message: 'nft says no', hint: 'ask nft' };
    const path = await daemon((_request, answer) => answer.writeHead(500).end(JSON.stringify(error)));
    await expect(openClient(path).post('/v1/reload')).rejects.toMatchObject({
      exitCode: EXIT.failed,
      message: 'nft says no',
      hint: 'ask nft',
    });
  });

  it('openClient refuses a daemon of another interface version', async () => {
    const path = await daemon((_request, answer) => answer.writeHead(200, { 'pointsman-api': '2' }).end('{}'));
    await expect(openClient(path).get('/v1/status')).rejects.toThrow('the daemon speaks version 2');
  });

  it.each(['{"half":', 'not JSON'])('openClient refuses the answer %j', async (body) => {
    const path = await daemon((_request, answer) => answer.end(body));
    await expect(openClient(path).get('/v1/status')).rejects.toThrow('the answer of the daemon is not JSON');
  });

  it('openClient says that the daemon ended where it hangs up', async () => {
    const path = await listen(createServer((socket) => socket.once('data', () => socket.destroy())));
    await expect(openClient(path).get('/v1/status')).rejects.toThrow('the daemon ended while it was answering');
  });

  it('openClient gives up on a daemon that takes the question and says nothing', async () => {
    const path = await listen(createServer((socket) => socket.resume()));
    const client = openClient(path, { silentMs: 50 });
    const unanswered = {
      exitCode: EXIT.notRunning,
      message: expect.stringContaining(`has not answered for 0 s (process ${process.pid})`) as unknown,
      hint: expect.stringContaining('sudo kill -KILL') as unknown,
    };
    await expect(client.get('/v1/status')).rejects.toMatchObject(unanswered);
    await expect(client.text('/v1/metrics')).rejects.toMatchObject(unanswered);
    await expect(client.post('/v1/reload')).rejects.toMatchObject(unanswered);
  }, 15_000);

  it('openClient gives up on a stream that has begun when the daemon says nothing any more', async () => {
    let asked = 0;
    const path = await daemon((_request, answer) => {
      asked += 1;
      if (asked === 1) answer.write('{"a":1}\n');
    });
    const lines: string[] = [];
    const watching = openClient(path, { silentMs: 50 }).lines('/v1/watch', (line) => lines.push(line), NEVER);
    await expect(watching).rejects.toMatchObject({ exitCode: EXIT.notRunning });
    expect(lines).toEqual(['{"a":1}']);
  }, 15_000);

  it('openClient waits for a daemon that is at work on the question and answers others', async () => {
    let answerIt: (() => void) | undefined;
    let looks = 0;
    const path = await daemon((request, answer) => {
      if (request.url !== '/v1/health') {
        answerIt = () => answer.end('{"done":true}');
        return;
      }
      looks += 1;
      answer.end('{}');
      if (looks === 2) answerIt?.();
    });
    expect(await openClient(path, { silentMs: 50 }).post('/v1/reload')).toEqual({ done: true });
    expect(looks).toBe(2);
  });

  it('openClient refuses a path that no socket can have', () => {
    const path = `/run/${'x'.repeat(120)}`;
    return expect(openClient(path).get('/v1/status')).rejects.toMatchObject({ exitCode: EXIT.usage });
  });

  it('openClient hands on whole lines, however they are cut', async () => {
    const text = Buffer.from('{"a":"€"}\n\n{"b":2}\n');
    const path = await daemon((_request, answer) => {
      answer.write(text.subarray(0, 7));
      setImmediate(() => answer.end(text.subarray(7)));
    });
    const lines: string[] = [];
    await openClient(path).lines('/v1/watch', (line) => lines.push(line), new AbortController().signal);
    expect(lines).toEqual(['{"a":"€"}', '{"b":2}']);
  });

  it('openClient ends a stream in order when it is interrupted', async () => {
    const path = await daemon((_request, answer) => {
      answer.write('{"a":1}\n');
    });
    const controller = new AbortController();
    const lines: string[] = [];
    const show = (line: string): void => {
      lines.push(line);
      controller.abort();
    };
    await openClient(path).lines('/v1/watch', show, controller.signal);
    expect(lines).toEqual(['{"a":1}']);
  });

  it('openClient ends a stream in order when the daemon dies', async () => {
    const path = await daemon((_request, answer) => {
      answer.write('{"a":1}\n', () => answer.destroy());
    });
    const lines: string[] = [];
    await openClient(path).lines('/v1/watch', (line) => lines.push(line), new AbortController().signal);
    expect(lines).toEqual(['{"a":1}']);
  });
});
