import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WatchEvent } from '../api/event.ts';
import { accessGroupId, mayConnect } from './access.ts';
import { EventStream, MAX_WAITING_LINES, MAX_WATCHERS, ndjson } from './event-stream.ts';
import { RequestRefused } from './request-refused.ts';
import { type Control, ControlServer, routes } from './server.ts';

let directory: string;
const asked: unknown[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pm-server-'));
  asked.length = 0;
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

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
    reload: async (query) => {
      asked.push(query);
      return { revision: 1, changes: 0, durationMs: 0, changedApps: [], diagnostics: [] };
    },
    confirm: () => false,
    stop: () => asked.push('stop'),
    events,
    nowMs: () => 0,
  };
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function ask(
  method: string,
  path: string,
  { body, permitted = true }: { body?: string; permitted?: boolean } = {},
): Promise<Answer> {
  const answer = await routes(control()).request(path, { method, ...(body !== undefined && { body }) }, { permitted });
  return { status: answer.status, body: await answer.json() };
}

describe('routes', () => {
  it('routes tells nobody anything who is not permitted', async () => {
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

  it('routes answers refusals, mistakes and unknown routes as ApiError', async () => {
    expect(await ask('GET', '/v1/status')).toEqual({
      status: 503,
      body: { code: 'busy', message: 'the daemon is starting' },
    });
    expect(await ask('GET', '/v1/plan')).toEqual({ status: 500, body: { code: 'internal', message: 'our mistake' } });
    expect(await ask('GET', '/v1/nothing')).toMatchObject({ status: 404, body: { code: 'not-found' } });
    expect(await ask('POST', '/v1/confirm')).toMatchObject({ status: 409 });
  });

  it.each([
    ['no JSON', 'x'],
    ['nobody', '{"host":"a","protocol":"tcp"}'],
    ['two at once', '{"app":"a","exe":"/b","host":"a","protocol":"tcp"}'],
    ['an unknown key', '{"app":"a","host":"a","protocol":"tcp","more":1}'],
    ['a port out of range', '{"app":"a","host":"a","port":65536,"protocol":"tcp"}'],
  ])('routes refuses an explain query with %s', async (_, body) => {
    expect(await ask('POST', '/v1/explain', { body })).toMatchObject({ status: 400, body: { code: 'bad-request' } });
    expect(asked).toEqual([]);
  });

  it('routes hands over what a good body says, and takes an empty one for a reload without conditions', async () => {
    await ask('POST', '/v1/explain', { body: '{"app":"a","host":"b.example","port":1,"protocol":"udp"}' });
    await ask('POST', '/v1/reload', { body: '' });
    await ask('POST', '/v1/reload', { body: '{"confirmMs":30000}' });
    expect(asked).toEqual([{ app: 'a', host: 'b.example', port: 1, protocol: 'udp' }, {}, { confirmMs: 30_000 }]);
  });

  it('routes refuses a body that is too large', async () => {
    const body = JSON.stringify({ app: 'a'.repeat(70_000) });
    const answer = await routes(control()).request(
      '/v1/explain',
      { method: 'POST', body, headers: { 'content-length': `${body.length}` } },
      { permitted: true },
    );
    expect(answer.status).toBe(413);
  });
});

describe('ControlServer', () => {
  it('ControlServer lets root in by the socket, which only its group may use, and removes it at the end', async () => {
    const socketPath = join(directory, 'run/pointsman.sock');
    const server = await ControlServer.listen(control(), { socketPath, groupId: undefined });
    expect(statSync(socketPath).mode & 0o777).toBe(0o660);
    const status = await new Promise((resolve, reject) => {
      request({ socketPath, path: '/v1/health' }, (answer) => resolve(answer.statusCode))
        .on('error', reject)
        .end();
    });
    expect(status).toBe(process.getuid?.() === 0 ? 200 : 403);
    await server[Symbol.asyncDispose]();
    expect(() => statSync(socketPath)).toThrow('ENOENT');
  });

  it('ControlServer names a path that is too long for a socket', async () => {
    const socketPath = join(directory, 'x'.repeat(120));
    await expect(ControlServer.listen(control(), { socketPath, groupId: undefined })).rejects.toThrow(
      'longer than 107 bytes',
    );
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

  it('accessGroupId finds no group where there is no file', () => {
    expect(accessGroupId(join(directory, 'group'))).toBeUndefined();
  });
});

describe('EventStream', () => {
  const event = (timeMs: number): WatchEvent => ({ kind: 'warning', timeMs, code: 'x', message: '', over: false });

  it('EventStream tells when the first watcher comes and the last one goes', () => {
    const audience: boolean[] = [];
    const stream = new EventStream((isWatched) => audience.push(isWatched));
    const leave = [stream.subscribe({ onEvent: () => undefined }), stream.subscribe({ onEvent: () => undefined })];
    for (const unsubscribe of leave) unsubscribe?.();
    expect(audience).toEqual([true, false]);
  });

  it('EventStream has room for so many watchers and no more', () => {
    const stream = new EventStream(() => undefined);
    const places = Array.from({ length: MAX_WATCHERS + 1 }, () => stream.subscribe({ onEvent: () => undefined }));
    expect(places.filter((place) => place === undefined)).toHaveLength(1);
    expect(ndjson(stream, () => 0)).toBeUndefined();
  });

  it('EventStream keeps a bounded number of lines for a slow watcher, and tells it how many it lost', async () => {
    const stream = new EventStream(() => undefined);
    const reader = ndjson(stream, () => 0)?.getReader();
    for (let i = 0; i < MAX_WAITING_LINES + 10; i += 1) stream.publish(event(i));
    const read = async () => JSON.parse(new TextDecoder().decode((await reader?.read())?.value)) as WatchEvent;
    for (let i = 0; i < MAX_WAITING_LINES; i += 1) expect((await read()).timeMs).toBe(i);
    stream.publish(event(9999));
    expect(await read()).toMatchObject({ code: 'watch-lost-lines', message: expect.stringContaining('10 lines') });
    expect((await read()).timeMs).toBe(9999);
    await reader?.cancel();
    expect(stream.isWatched).toBe(false);
  });
});
