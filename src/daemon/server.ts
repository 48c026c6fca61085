/** HTTP on the unix socket. Routes only: what they answer is the control's business. */
import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ExplainQuery, Explanation } from '../api/explanation.ts';
import { API_VERSION, type ApiError, type PlanReport, type ReloadReport, type ReloadRequest } from '../api/request.ts';
import type { Status } from '../api/status.ts';
import { isPermitted } from './access.ts';
import { type EventStream, ndjson } from './event-stream.ts';
import { readExplainQuery, readReloadRequest } from './request-body.ts';
import { RequestRefused } from './request-refused.ts';

const MAX_BODY_BYTES = 64 * 1024;
const MAX_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 10_000;
/** sun_path of unix(7), without its final zero byte. */
const MAX_SOCKET_PATH_BYTES = 107;
const SOCKET_MODE = 0o660;
const RUN_DIR_MODE = 0o755;

/** What the routes are about. A rejected promise becomes an ApiError: RequestRefused as it says, others as `internal`. */
export interface Control {
  readonly status: () => Promise<Status>;
  readonly plan: () => Promise<PlanReport>;
  readonly explain: (query: ExplainQuery) => Promise<Explanation>;
  readonly reload: (request: ReloadRequest) => Promise<ReloadReport>;
  /** False where nothing waits to be confirmed. */
  readonly confirm: () => boolean;
  readonly stop: () => void;
  readonly events: EventStream;
  readonly nowMs: () => number;
}

export interface ServerOptions {
  readonly socketPath: string;
  /** Members may connect. */
  readonly groupId: number | undefined;
}

type Env = { readonly Bindings: HttpBindings & { readonly permitted: boolean } };

/** Pure routing: testable without a socket. */
export function routes(control: Control): Hono<Env> {
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    // Before everything else: who is not let in learns nothing, not even which routes there are.
    if (!c.env.permitted) return c.json(NOT_PERMITTED, 403);
    await next();
    c.header('pointsman-api', String(API_VERSION));
  });
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: (c) => c.json(BODY_TOO_LARGE, 413) }));
  app.get('/v1/health', (c) => c.json({ version: API_VERSION }));
  app.get('/v1/status', async (c) => c.json(await control.status()));
  app.get('/v1/plan', async (c) => c.json(await control.plan()));
  app.get('/v1/watch', () => {
    const lines = ndjson(control.events, control.nowMs);
    if (lines === undefined) throw new RequestRefused(503, { code: 'busy', message: 'too many are watching already' });
    return new Response(lines, { headers: { 'content-type': 'application/x-ndjson' } });
  });
  app.post('/v1/explain', async (c) => c.json(await control.explain(readExplainQuery(await c.req.text()))));
  app.post('/v1/reload', async (c) => c.json(await control.reload(readReloadRequest(await c.req.text()))));
  app.post('/v1/confirm', (c) => {
    if (!control.confirm())
      throw new RequestRefused(409, { code: 'bad-request', message: 'nothing waits to be confirmed' });
    return c.json({ confirmed: true });
  });
  app.post('/v1/stop', (c) => {
    control.stop();
    return c.json({ stopping: true });
  });
  app.notFound((c) =>
    c.json({ code: 'not-found', message: `there is no ${c.req.method} ${c.req.path}` } satisfies ApiError, 404),
  );
  app.onError((error, c) => {
    if (error instanceof RequestRefused) return c.json(error.answer, error.status);
    return c.json({ code: 'internal', message: error.message } satisfies ApiError, 500);
  });
  return app;
}

const NOT_PERMITTED: ApiError = {
  code: 'not-permitted',
  message: 'only root and members of the group pointsman may talk to the daemon',
};
const BODY_TOO_LARGE: ApiError = { code: 'bad-request', message: `a request has at most ${MAX_BODY_BYTES} bytes` };

/** The listening server; disposing of it ends all connections and removes the socket. */
export class ControlServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #socketPath: string;

  private constructor(server: Server, socketPath: string) {
    this.#server = server;
    this.#socketPath = socketPath;
  }

  /** The caller holds the instance lock: a socket that is there is a dead one's. Rejects where it cannot listen. */
  static async listen(control: Control, { socketPath, groupId }: ServerOptions): Promise<ControlServer> {
    if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
      throw new Error(`the path of the control socket is longer than ${MAX_SOCKET_PATH_BYTES} bytes: ${socketPath}`);
    }
    const app = routes(control);
    const permitted = new WeakSet<Socket>();
    const listener = getRequestListener((request, env) => {
      const { incoming, outgoing } = env as HttpBindings;
      return app.fetch(request, { incoming, outgoing, permitted: permitted.has(incoming.socket) });
    });
    const server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS },
      (incoming, outgoing) => void listener(incoming, outgoing),
    );
    server.maxConnections = MAX_CONNECTIONS;
    server.on('connection', (socket: Socket) => {
      if (isPermitted(socket, groupId)) permitted.add(socket);
    });
    mkdirSync(dirname(socketPath), { recursive: true, mode: RUN_DIR_MODE });
    rmSync(socketPath, { force: true });
    await listening(server, socketPath);
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
