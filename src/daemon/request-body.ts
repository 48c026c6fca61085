/** Bodies of requests: JSON from whoever may connect, checked before anything is done with it. */

import type { Readable } from 'node:stream';
import { z } from 'zod';
import type { ExplainQuery, ExplainWho, InboundQuestion, OutboundQuestion } from '../api/explanation.ts';
import { MAX_FLOW_QUERY_LENGTH } from '../api/flow-query.ts';
import type { ReloadRequest, TryRequest } from '../api/request.ts';
import type { RouteQuery } from '../api/route.ts';
import type { WhoQuery } from '../api/who.ts';
import { parseAddress } from '../net/address.ts';
import { KERNEL_SENDERS } from '../policy/kernel-senders.ts';
import { isTrialPath } from '../store/trial-files.ts';
import { RequestRefused } from './request-refused.ts';

const MAX_BODY_BYTES = 64 * 1024;
/** Of files that are tried: thousands of policies, and a third more for base64. */
export const MAX_TRY_BYTES: number = 16 * 1024 * 1024;
const MAX_TRIED_FILES = 10_000;
/** A day: longer than anyone watches whether his change was a good one. */
const MAX_CONFIRM_MS = 86_400_000;

/** INET6_ADDRSTRLEN of netinet/in.h, without its end. */
const MAX_ADDRESS_LENGTH = 45;
/** IFNAMSIZ of linux/if.h, without its end. */
const MAX_DEVICE_LENGTH = 15;
/** pid_t */
const MAX_PID = 0x7fffffff;

const reloadSchema = z.strictObject({ confirmMs: z.int().min(1).max(MAX_CONFIRM_MS).optional() });
const trySchema = z.strictObject({
  files: z
    .array(
      z.strictObject({
        path: z.string().max(4096).refine(isTrialPath, { message: 'it is no path of a file below /etc/pointsman' }),
        base64: z.base64().optional(),
      }),
    )
    .min(1)
    .max(MAX_TRIED_FILES)
    .refine((files) => new Set(files.map(({ path }) => path)).size === files.length, {
      message: 'a path stands twice',
    }),
  confirmMs: z.int().min(1).max(MAX_CONFIRM_MS).optional(),
});
const explainSchema = z
  .strictObject({
    app: z.string().min(1).max(255).optional(),
    exe: z.string().startsWith('/').max(4096).optional(),
    pid: z.int().min(1).max(MAX_PID).optional(),
    kernel: z.enum(KERNEL_SENDERS).optional(),
    host: z.string().min(1).max(253).optional(),
    from: z
      .string()
      .max(MAX_ADDRESS_LENGTH)
      .refine((text) => parseAddress(text) !== undefined, { message: 'it is not an address' })
      .optional(),
    fromPort: z.int().min(0).max(65535).optional(),
    port: z.int().min(0).max(65535).optional(),
    protocol: z.enum(['tcp', 'udp', 'icmp']),
    device: z.string().min(1).max(MAX_DEVICE_LENGTH).optional(),
  })
  .refine(({ app, exe, pid, kernel }) => [app, exe, pid, kernel].filter((who) => who !== undefined).length === 1, {
    message: 'exactly one of app, exe, pid and kernel says who',
  });

type Asked = Omit<z.infer<typeof explainSchema>, keyof ExplainWho>;

const whoSchema = z.union([
  z.strictObject({ pid: z.int().min(1).max(MAX_PID) }),
  z.strictObject({ flow: z.string().min(1).max(MAX_FLOW_QUERY_LENGTH) }),
]);

const routeSchema = z.union([
  z.strictObject({ pid: z.int().min(1).max(MAX_PID) }),
  z.strictObject({ app: z.string().min(1).max(255) }),
]);

/** The body as text. Rejects with RequestRefused as soon as it is too large; the rest stays unread. */
export function readBody(incoming: Readable, mostBytes: number = MAX_BODY_BYTES): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  return new Promise((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      length += chunk.length;
      if (length <= mostBytes) {
        chunks.push(chunk);
        return;
      }
      // Not by an iterator: leaving one early ends the connection before the refusal has gone out on it.
      incoming.off('data', take).pause();
      reject(new RequestRefused(413, { code: 'bad-request', message: `a request has at most ${mostBytes} bytes` }));
    };
    incoming.on('data', take);
    incoming.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    incoming.once('error', reject);
    incoming.once('close', () => reject(new RequestRefused(400, { code: 'bad-request', message: BODY_BROKEN_OFF })));
  });
}

const BODY_BROKEN_OFF = 'the body is not complete';

export function readReloadRequest(body: string): ReloadRequest {
  const { confirmMs } = read(reloadSchema, body === '' ? '{}' : body);
  return confirmMs === undefined ? {} : { confirmMs };
}

export function readTryRequest(body: string): TryRequest {
  const { files, confirmMs } = read(trySchema, body);
  return {
    files: files.map(({ path, base64 }) => ({ path, ...(base64 !== undefined && { base64 }) })),
    ...(confirmMs !== undefined && { confirmMs }),
  };
}

export function readExplainQuery(body: string): ExplainQuery {
  const { app, exe, pid, kernel, ...question } = read(explainSchema, body);
  const who = {
    ...(app !== undefined && { app }),
    ...(exe !== undefined && { exe }),
    ...(pid !== undefined && { pid }),
    ...(kernel !== undefined && { kernel }),
  };
  return { ...who, ...questionOf(question) };
}

/** Throws RequestRefused. */
function questionOf({ host, from, fromPort, port, protocol, device }: Asked): OutboundQuestion | InboundQuestion {
  if (host !== undefined && from === undefined && fromPort === undefined)
    return { host, protocol, ...(port !== undefined && { port }), ...(device !== undefined && { device }) };
  if (from !== undefined && host === undefined && device === undefined && port !== undefined && protocol !== 'icmp')
    return { from, port, protocol, ...(fromPort !== undefined && { fromPort }) };
  const message = 'either host says where to, or from says who connects to which port by tcp or udp';
  throw new RequestRefused(400, { code: 'bad-request', message });
}

export function readWhoQuery(body: string): WhoQuery {
  return read(whoSchema, body);
}

export function readRouteQuery(body: string): RouteQuery {
  return read(routeSchema, body);
}

function read<T>(schema: z.ZodType<T>, body: string): T {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new RequestRefused(400, { code: 'bad-request', message: 'the body is not JSON' });
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const message = result.error.issues
    .map((issue) => [issue.path.join('.'), issue.message].filter((part) => part !== '').join(': '))
    .join('; ');
  throw new RequestRefused(400, { code: 'bad-request', message });
}
