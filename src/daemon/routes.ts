/** What may be asked of the daemon: a table of method and path. What the answers say is the control's business. */
import type { AppsReport } from '../api/apps.ts';
import type { ExplainQuery, Explanation } from '../api/explanation.ts';
import { EXPOSITION_TYPE, renderExposition } from '../api/exposition.ts';
import type { MetricFamily } from '../api/metrics.ts';
import type { PanicNote } from '../api/panic.ts';
import {
  API_VERSION,
  type ApiError,
  type PlanReport,
  type ReloadReport,
  type ReloadRequest,
  type TryReport,
  type TryRequest,
} from '../api/request.ts';
import type { RouteQuery, RouteReport } from '../api/route.ts';
import type { SelfCheckReport } from '../api/self-check.ts';
import type { Status } from '../api/status.ts';
import type { UplinksReport } from '../api/uplinks.ts';
import type { WhoQuery, WhoReport } from '../api/who.ts';
import type { Clock } from '../net/clock.ts';
import type { Reader } from '../store/may-read.ts';
import type { EventStream } from './event-stream.ts';
import {
  MAX_TRY_BYTES,
  readExplainQuery,
  readReloadRequest,
  readRouteQuery,
  readTryRequest,
  readWhoQuery,
} from './request-body.ts';
import { RequestRefused } from './request-refused.ts';

/** What the routes are about. A rejected promise becomes an ApiError: RequestRefused as it says, others as `internal`. */
export interface Control {
  /** `reader`: who is told what stands in files only where he may read them. */
  readonly status: (reader: Reader) => Promise<Status>;
  readonly plan: () => Promise<PlanReport>;
  readonly explain: (query: ExplainQuery) => Promise<Explanation>;
  readonly apps: () => Promise<AppsReport>;
  readonly who: (query: WhoQuery) => Promise<WhoReport>;
  readonly uplinks: () => Promise<UplinksReport>;
  readonly route: (query: RouteQuery) => Promise<RouteReport>;
  readonly metrics: () => Promise<readonly MetricFamily[]>;
  /** Whether anything of what policies say holds. */
  readonly isPanicClosed: () => Promise<boolean>;
  /** Now, or the one that is under way. */
  readonly selfCheck: () => Promise<SelfCheckReport>;
  readonly reload: (request: ReloadRequest, reader: Reader) => Promise<ReloadReport>;
  readonly tryFiles: (request: TryRequest, reader: Reader) => Promise<TryReport>;
  /** False where nothing waits to be confirmed. */
  readonly confirm: () => Promise<boolean>;
  readonly stop: () => void;
  /** Ends the daemon with policy kept in force, for another one that takes over. */
  readonly leave: () => void;
  /** A mistake of ours; whoever asked has an answer all the same. */
  readonly onFault: (fault: unknown) => void;
  readonly events: EventStream;
  /** Of events, and of who does not read them. */
  readonly clock: Clock;
}

export interface ControlRequest {
  /** Whether the kernel says that the caller may ask at all. */
  readonly permitted: boolean;
  /** As whom he reads files; as nobody unless stated. */
  readonly reader?: Reader;
  readonly method: string;
  readonly path: string;
  /** Read only where a route wants it; so many bytes, or what is usual. Rejects with RequestRefused. */
  readonly body: (mostBytes?: number) => Promise<string>;
}

export type ControlAnswer =
  | { readonly kind: 'json'; readonly status: number; readonly body: object }
  /** `type`: its media type. */
  | { readonly kind: 'text'; readonly type: string; readonly text: string }
  /** Every event from now on, as newline-delimited JSON. */
  | { readonly kind: 'events' };

type Route = (control: Control, body: ControlRequest['body'], reader: Reader) => object | Promise<object>;

/** In no group, and not root. */
const NOBODY: Reader = { uid: -1, gids: [] };

/** `GET /v1/watch` is the one route that answers without end. */
const WATCH_ROUTE = 'GET /v1/watch';
/** What is not JSON, because others than pointsman's own command read it. */
const METRICS_ROUTE = 'GET /v1/metrics';

const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['GET /v1/health', () => ({ version: API_VERSION })],
  ['GET /v1/status', ({ status }, _, reader) => status(reader)],
  ['GET /v1/plan', ({ plan }) => plan()],
  ['POST /v1/explain', async (control, body) => noted(control, control.explain(readExplainQuery(await body())))],
  ['GET /v1/apps', ({ apps }) => apps()],
  ['POST /v1/who', async (control, body) => noted(control, control.who(readWhoQuery(await body())))],
  ['GET /v1/uplinks', (control) => noted(control, control.uplinks())],
  ['POST /v1/route', async (control, body) => noted(control, control.route(readRouteQuery(await body())))],
  ['GET /v1/metrics.json', async ({ metrics }) => ({ families: await metrics() })],
  ['POST /v1/reload', async ({ reload }, body, reader) => reload(readReloadRequest(await body()), reader)],
  ['POST /v1/try', async ({ tryFiles }, body, reader) => tryFiles(readTryRequest(await body(MAX_TRY_BYTES)), reader)],
  ['POST /v1/self-check', ({ selfCheck }) => selfCheck()],
  ['POST /v1/confirm', async ({ confirm }) => confirmed(await confirm())],
  ['POST /v1/stop', ({ stop }) => stopping(stop)],
  ['POST /v1/leave', ({ leave }) => stopping(leave)],
]);

/** What holds instead stands in the answer itself. */
async function noted<T extends object>(
  { isPanicClosed }: Pick<Control, 'isPanicClosed'>,
  answer: Promise<T>,
): Promise<T & PanicNote> {
  const report = await answer;
  return (await isPanicClosed()) ? { ...report, panicClosed: true } : report;
}

/** Never rejects. Testable without a socket. */
export async function answerTo(control: Control, request: ControlRequest): Promise<ControlAnswer> {
  // Before everything else: who is not let in learns nothing, not even which routes there are.
  if (!request.permitted) return { kind: 'json', status: 403, body: NOT_PERMITTED };
  const name = `${request.method} ${request.path}`;
  if (name === WATCH_ROUTE) return { kind: 'events' };
  const route = ROUTES.get(name);
  if (route === undefined && name !== METRICS_ROUTE)
    return refusal(404, { code: 'not-found', message: `there is no ${name}` });
  try {
    if (route === undefined)
      return { kind: 'text', type: EXPOSITION_TYPE, text: renderExposition(await control.metrics()) };
    return { kind: 'json', status: 200, body: await route(control, request.body, request.reader ?? NOBODY) };
  } catch (error) {
    if (error instanceof RequestRefused) return refusal(error.status, error.answer);
    control.onFault(error);
    return refusal(500, { code: 'internal', message: error instanceof Error ? error.message : String(error) });
  }
}

export const TOO_MANY_WATCHERS: ApiError = { code: 'busy', message: 'you are watching as often as one user may' };

export const TOO_MANY_CONNECTIONS: ApiError = {
  code: 'busy',
  message: 'you have as many connections to the daemon as one user may',
  hint: 'pgrep -af pointsman shows commands of yours that are still running',
};

export const NOT_PERMITTED: ApiError = {
  code: 'not-permitted',
  message: 'only root and members of the group pointsman may talk to the daemon',
};

function refusal(status: number, body: ApiError): ControlAnswer {
  return { kind: 'json', status, body };
}

function confirmed(wasWaiting: boolean): object {
  if (wasWaiting) return { confirmed: true };
  throw new RequestRefused(409, { code: 'bad-request', message: 'nothing waits to be confirmed' });
}

function stopping(stop: () => void): object {
  stop();
  return { stopping: true };
}
