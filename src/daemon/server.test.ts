import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { Agent, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import type { WatchEvent } from '../api/event.ts';
import type { Clock } from '../net/clock.ts';
import { mayConnect } from './access.ts';
import {
  EventStream,
  MAX_WAITING_LINES,
  MAX_WATCHERS,
  MAX_WATCHERS_OF_ROOT,
  MAX_WATCHERS_OF_USER,
  streamLines,
  WATCHER_READS_WITHIN_MS,
  type Watcher,
} from './event-stream.ts';
import { RequestRefused } from './request-refused.ts';
import { answerTo, type Control } from './routes.ts';
import { ControlServer } from './server.ts';

let directory: string;
const asked: unknown[] = [];
const faults: unknown[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pm-server-'));
  asked.length = 0;
  faults.length = 0;
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

const CLOCK: Clock = { wallMs: () => 0, monotonicMs: () => 0 };

const refuse = (): never => {
  throw new RequestRefused(503, { code: 'busy', message: 'the daemon is starting' });
};

function control(events = new EventStream(() => undefined)): Control {
  return {
    status: async () => refuse(),
    plan: async () => {
      throw new Error('our mistake');
    },
    explain: async (query) => {
      asked.push(query);
      return { identity: '', layers: [], destination: '', flows: [] };
    },
    apps: async () => ({ programs: [], elsewhere: 3 }),
    who: async (query) => {
      asked.push(query);
      return { kind: 'flows', flows: [], more: 0 };
    },
    uplinks: async () => ({ uplinks: [], others: [], isCounted: false }),
    route: async (query) => {
      asked.push(query);
      return { identity: '', rules: [], traffic: [], isCounted: false };
    },
    metrics: async () => [{ name: 'a_total', type: 'counter', help: 'A.', samples: [{ labels: {}, value: 1 }] }],
    reload: async (query) => {
      asked.push(query);
      return { revision: 1, changes: 0, durationMs: 0, changedApps: [], diagnostics: [] };
    },
    tryFiles: async (query) => {
      asked.push(query);
      return { applied: false, directory: '/run/pointsman/trial', diagnostics: [] };
    },
    isPanicClosed: async () => false,
    confirm: async () => false,
    stop: () => asked.push('stop'),
    selfCheck: async () => ({ tiers: [] }),
    leave: () => asked.push('leave'),
    onFault: (fault) => faults.push(fault),
    events,
    clock: CLOCK,
  };
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function ask(
  method: string,
  path: string,
  { body = '', permitted = true }: { body?: string; permitted?: boolean } = {},
): Promise<Answer> {
  const answer = await answerTo(control(), { permitted, method, path, body: async () => body });
  if (answer.kind !== 'json') throw new Error(`${method} ${path} answers with ${answer.kind}`);
  return answer;
}

describe('answerTo', () => {
  it('answerTo tells nobody anything who is not permitted', async () => {
    const refusals = [
      await ask('GET', '/v1/status', { permitted: false }),
      await ask('POST', '/nothing', { permitted: false }),
    ];
    for (const { status, body } of refusals) {
      expect(status).toBe(403);
      expect(body).toMatchObject({ code: 'not-permitted' });
    }
    await ask('POST', '/v1/stop', { permitted: false });
    expect(asked).toEqual([]);
  });

  it('answerTo answers refusals, mistakes and unknown routes as ApiError', async () => {
    expect(await ask('GET', '/v1/status')).toEqual({
      kind: 'json',
      status: 503,
      body: { code: 'busy', message: 'the daemon is starting' },
    });
    expect(await ask('GET', '/v1/plan')).toEqual({
      kind: 'json',
      status: 500,
      body: { code: 'internal', message: 'our mistake' },
    });
    expect(faults).toEqual([new Error('our mistake')]);
    expect(await ask('GET', '/v1/nothing')).toMatchObject({ status: 404, body: { code: 'not-found' } });
    expect(await ask('POST', '/v1/confirm')).toMatchObject({ status: 409 });
  });

  it.each([
    ['no JSON', 'x'],
    ['nobody', '{"host":"a","protocol":"tcp"}'],
    ['two at once', '{"app":"a","exe":"/b","host":"a","protocol":"tcp"}'],
    ['an unknown key', '{"app":"a","host":"a","protocol":"tcp","more":1}'],
    ['a port out of range', '{"app":"a","host":"a","port":65536,"protocol":"tcp"}'],
    ['neither end', '{"app":"a","port":1,"protocol":"tcp"}'],
    ['both ends', '{"app":"a","host":"a","from":"192.0.2.7","port":1,"protocol":"tcp"}'],
    ['a name that connects', '{"app":"a","from":"b.example","port":1,"protocol":"tcp"}'],
    ['a peer and no port', '{"app":"a","from":"192.0.2.7","protocol":"tcp"}'],
    ['a peer and no protocol of programs', '{"app":"a","from":"192.0.2.7","port":1,"protocol":"icmp"}'],
    ['a device of who comes in', '{"app":"a","from":"192.0.2.7","port":1,"protocol":"tcp","device":"u1"}'],
    ['a device name that is none', '{"app":"a","host":"a","protocol":"tcp","device":"0123456789abcdef"}'],
    ['a port of nobody', '{"app":"a","host":"a","fromPort":1,"port":1,"protocol":"tcp"}'],
  ])('answerTo refuses an explain query with %s', async (_, body) => {
    expect(await ask('POST', '/v1/explain', { body })).toMatchObject({ status: 400, body: { code: 'bad-request' } });
    expect(asked).toEqual([]);
  });

  it.each([
    ['nothing', '{}'],
    ['two at once', '{"pid":1,"flow":":443"}'],
    ['no process number', '{"pid":0}'],
    ['a number that no process has', '{"pid":2147483648}'],
    ['a flow that is longer than any', JSON.stringify({ flow: ':'.repeat(1000) })],
  ])('answerTo refuses to say who %s is', async (_, body) => {
    expect(await ask('POST', '/v1/who', { body })).toMatchObject({ status: 400, body: { code: 'bad-request' } });
    expect(asked).toEqual([]);
  });

  it.each([
    ['nothing', '{}'],
    ['two at once', '{"pid":1,"app":"a"}'],
    ['no process number', '{"pid":0}'],
  ])('answerTo refuses to say which way %s takes', async (_, body) => {
    expect(await ask('POST', '/v1/route', { body })).toMatchObject({ status: 400, body: { code: 'bad-request' } });
    expect(asked).toEqual([]);
  });

  it.each([
    ['nothing', '{}'],
    ['no file', '{"files":[]}'],
    ['a path out of the directory', '{"files":[{"path":"policies/../../passwd.yaml"}]}'],
    ['an absolute path', '{"files":[{"path":"/etc/passwd"}]}'],
    ['one path twice', '{"files":[{"path":"default.yaml"},{"path":"default.yaml"}]}'],
    ['what is no base64', '{"files":[{"path":"default.yaml","base64":"?"}]}'],
    ['a time that is none', '{"files":[{"path":"default.yaml"}],"confirmMs":0}'],
  ])('answerTo refuses to try %s', async (_, body) => {
    expect(await ask('POST', '/v1/try', { body })).toMatchObject({ status: 400, body: { code: 'bad-request' } });
    expect(asked).toEqual([]);
  });

  it('answerTo hands over what a good body says, and takes an empty one for a reload without conditions', async () => {
    await ask('POST', '/v1/explain', { body: '{"app":"a","host":"b.example","port":1,"protocol":"udp"}' });
    await ask('POST', '/v1/explain', { body: '{"pid":7,"from":"::1","fromPort":2,"port":1,"protocol":"tcp"}' });
    await ask('POST', '/v1/explain', { body: '{"exe":"/b","from":"192.0.2.7","port":1,"protocol":"udp"}' });
    await ask('POST', '/v1/explain', { body: '{"app":"a","host":"b","protocol":"icmp","device":"u1"}' });
    await ask('POST', '/v1/try', { body: '{"files":[{"path":"default.yaml","base64":"eA=="}],"confirmMs":5}' });
    await ask('POST', '/v1/who', { body: '{"pid":4711}' });
    await ask('POST', '/v1/route', { body: '{"app":"a"}' });
    await ask('POST', '/v1/who', { body: '{"flow":"tcp :443"}' });
    await ask('POST', '/v1/reload', { body: '' });
    await ask('POST', '/v1/reload', { body: '{"confirmMs":30000}' });
    expect(asked).toEqual([
      { app: 'a', host: 'b.example', port: 1, protocol: 'udp' },
      { pid: 7, from: '::1', fromPort: 2, port: 1, protocol: 'tcp' },
      { exe: '/b', from: '192.0.2.7', port: 1, protocol: 'udp' },
      { app: 'a', host: 'b', protocol: 'icmp', device: 'u1' },
      { files: [{ path: 'default.yaml', base64: 'eA==' }], confirmMs: 5 },
      { pid: 4711 },
      { app: 'a' },
      { flow: 'tcp :443' },
      {},
      { confirmMs: 30_000 },
    ]);
    expect(await ask('GET', '/v1/apps')).toMatchObject({ status: 200, body: { elsewhere: 3 } });
  });

  it('answerTo has metrics as text for others, and as JSON', async () => {
    const request = { permitted: true, method: 'GET', path: '/v1/metrics', body: async () => '' };
    expect(await answerTo(control(), request)).toEqual({
      kind: 'text',
      type: 'text/plain; version=0.0.4; charset=utf-8',
      text: '# HELP a_total A.\n# TYPE a_total counter\na_total 1\n',
    });
    expect(await answerTo(control(), { ...request, permitted: false })).toMatchObject({ status: 403 });
    const failing = { ...control(), metrics: async () => refuse() };
    expect(await answerTo(failing, request)).toMatchObject({ kind: 'json', status: 503 });
    expect(await ask('GET', '/v1/metrics.json')).toMatchObject({ body: { families: [{ name: 'a_total' }] } });
  });

  it('answerTo streams events only to who is permitted', async () => {
    const request = { method: 'GET', path: '/v1/watch', body: async () => '' };
    expect(await answerTo(control(), { ...request, permitted: true })).toEqual({ kind: 'events' });
    expect(await answerTo(control(), { ...request, permitted: false })).toMatchObject({ status: 403 });
  });
});

async function listening(events?: EventStream): Promise<AsyncDisposable & { readonly socketPath: string }> {
  const socketPath = join(directory, 'run/pointsman.sock');
  const server = await ControlServer.listen(control(events), {
    background: testBackground,
    socketPath,
    groupId: undefined,
    onShareFull: () => undefined,
  });
  return { socketPath, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

interface Heard {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function send(socketPath: string, options: RequestOptions, body?: string): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, ...options }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

describe('ControlServer', () => {
  it('ControlServer lets root in by the socket, which only its group may use, and removes it at the end', async () => {
    const socketPath = join(directory, 'run/pointsman.sock');
    const server = await ControlServer.listen(control(), {
      background: testBackground,
      socketPath,
      groupId: undefined,
      onShareFull: () => undefined,
    });
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    const status = await new Promise((resolve, reject) => {
      request({ socketPath, path: '/v1/health' }, (answer) => resolve(answer.statusCode))
        .on('error', reject)
        .end();
    });
    expect(status).toBe(process.getuid?.() === 0 ? 200 : 403);
    await server[Symbol.asyncDispose]();
    expect(() => statSync(socketPath)).toThrow('ENOENT');
  });

  it.runIf(process.getuid?.() === 0)('ControlServer says what it speaks, and goes on after a request', async () => {
    await using server = await listening();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (const path of ['/v1/health?verbose', '/v1/nothing']) {
      const answer = await send(server.socketPath, { path, agent });
      expect(answer.headers).toMatchObject({ 'pointsman-api': '1', 'content-type': 'application/json' });
      expect(answer.headers.connection).toBe('keep-alive');
    }
    const body = '{"confirmMs":5}';
    const reloaded = await send(server.socketPath, { path: '/v1/reload', method: 'POST', agent }, body);
    expect(reloaded.status).toBe(200);
    expect(asked).toEqual([{ confirmMs: 5 }]);
    agent.destroy();
  });

  it.runIf(process.getuid?.() === 0)('ControlServer refuses a body that is too large, announced or not', async () => {
    await using server = await listening();
    const body = JSON.stringify({ app: 'a'.repeat(70_000) });
    for (const headers of [{ 'content-length': body.length }, { 'transfer-encoding': 'chunked' }]) {
      const answer = await send(server.socketPath, { path: '/v1/explain', method: 'POST', headers }, body);
      expect(answer).toMatchObject({ status: 413, headers: { connection: 'close' } });
      expect(JSON.parse(answer.text)).toMatchObject({ code: 'bad-request' });
    }
    expect(asked).toEqual([]);
  });

  it.runIf(process.getuid?.() === 0)('ControlServer streams events until the watcher goes away', async () => {
    let tellGone = (): void => undefined;
    const gone = new Promise<void>((resolve) => {
      tellGone = resolve;
    });
    const events = new EventStream((isWatched) => isWatched || tellGone());
    await using server = await listening(events);
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      request({ socketPath: server.socketPath, path: '/v1/watch' }, resolve).on('error', reject).end();
    });
    expect(answer.headers['content-type']).toBe('application/x-ndjson');
    events.publish({ kind: 'warning', timeMs: 1, code: 'x', message: 'hello', over: false });
    const [line] = (await once(answer, 'data')) as [Buffer];
    expect(JSON.parse(line.toString())).toMatchObject({ message: 'hello' });
    answer.destroy();
    await gone;
  });

  it('ControlServer names a path that is too long for a socket', async () => {
    const socketPath = join(directory, 'x'.repeat(120));
    await expect(
      ControlServer.listen(control(), {
        background: testBackground,
        socketPath,
        groupId: undefined,
        onShareFull: () => undefined,
      }),
    ).rejects.toThrow('longer than 107 bytes');
  });
});

describe('mayConnect', () => {
  it('mayConnect lets in root and members of the group, and nobody else', () => {
    const user = { pid: 1, uid: 1000, gids: [1000, 27] };
    expect(mayConnect({ ...user, uid: 0 }, undefined)).toBe(true);
    expect(mayConnect(user, 27)).toBe(true);
    expect(mayConnect(user, 28)).toBe(false);
    expect(mayConnect(user, undefined)).toBe(false);
  });
});

describe('EventStream', () => {
  const event = (timeMs: number): WatchEvent => ({ kind: 'warning', timeMs, code: 'x', message: '', over: false });

  const watcher = (uid: number): Watcher => ({ uid, onEvent: () => undefined, onGivenUp: () => undefined });

  it('EventStream tells when the first watcher comes and the last one goes', () => {
    const audience: boolean[] = [];
    const stream = new EventStream((isWatched) => audience.push(isWatched));
    const leave = [stream.subscribe(watcher(0)), stream.subscribe(watcher(1000))];
    for (const unsubscribe of leave) unsubscribe?.();
    expect(audience).toEqual([true, false]);
  });

  it('EventStream has room for so many watchers of a user, and root finds room whatever others hold', () => {
    const full: number[] = [];
    const stream = new EventStream(
      () => undefined,
      (uid) => full.push(uid),
    );
    const held = (uid: number, count: number): number =>
      Array.from({ length: count }, () => stream.subscribe(watcher(uid))).filter((place) => place !== undefined).length;
    expect(held(1000, MAX_WATCHERS_OF_USER + 1)).toBe(MAX_WATCHERS_OF_USER);
    expect(full).toEqual([1000]);
    for (let uid = 1001; uid < 1010; uid += 1) held(uid, MAX_WATCHERS_OF_USER);
    expect(held(2000, 1)).toBe(1);
    expect(held(0, MAX_WATCHERS_OF_ROOT + 1)).toBe(MAX_WATCHERS_OF_ROOT);
  });

  it('EventStream takes a place from who has the most for another user, and tells the one whose it was', () => {
    const given: number[] = [];
    const stream = new EventStream(() => undefined);
    for (let uid = 1; uid <= MAX_WATCHERS / MAX_WATCHERS_OF_USER; uid += 1)
      for (let i = 0; i < MAX_WATCHERS_OF_USER; i += 1)
        stream.subscribe({ ...watcher(uid), onGivenUp: () => given.push(uid) });
    expect(stream.subscribe(watcher(99))).toBeDefined();
    expect(given).toEqual([1]);
  });

  it('streamLines ends a watch of which nothing is read while lines wait, with a word', () => {
    const stream = new EventStream(() => undefined);
    let nowMs = 0;
    const ended: string[] = [];
    let take = (): void => undefined;
    streamLines(
      stream,
      { wallMs: () => 7, monotonicMs: () => nowMs },
      {
        uid: 1,
        write: (_, onTaken) => {
          take = onTaken;
        },
        end: (line) => ended.push(line),
      },
    );
    stream.publish(event(1));
    nowMs = 10 * WATCHER_READS_WITHIN_MS;
    take();
    stream.publish(event(2));
    nowMs += WATCHER_READS_WITHIN_MS;
    stream.publish(event(3));
    expect(ended).toEqual([]);
    nowMs += 1;
    stream.publish(event(4));
    stream.publish(event(5));
    expect(ended.map((line) => JSON.parse(line) as WatchEvent)).toMatchObject([{ code: 'watch-ended', timeMs: 7 }]);
    expect(stream.isWatched).toBe(false);
  });

  it('streamLines keeps a bounded number of lines for a slow watcher, and tells it how many it lost', () => {
    const stream = new EventStream(() => undefined);
    const written: { readonly line: string; readonly onTaken: () => void }[] = [];
    const write = (line: string, onTaken: () => void): number => written.push({ line, onTaken });
    const stop = streamLines(stream, CLOCK, { uid: 0, write, end: () => undefined });
    for (let i = 0; i < MAX_WAITING_LINES + 10; i += 1) stream.publish(event(i));
    expect(written).toHaveLength(MAX_WAITING_LINES);
    for (const { onTaken } of written.splice(0)) onTaken();
    stream.publish(event(9999));
    const read = written.map(({ line }) => JSON.parse(line) as WatchEvent);
    expect(read).toMatchObject([
      { code: 'watch-lost-lines', message: expect.stringContaining('10 lines') },
      { timeMs: 9999 },
    ]);
    stop?.();
    expect(stream.isWatched).toBe(false);
  });
});
