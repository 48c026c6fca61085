/** The daemon's HTTP API over its unix socket, for a person's command. Every failure is a CliError. */
import http from 'node:http';
import { API_VERSION, type ApiError } from '../api/request.ts';
import { describeAbsentDaemon, observeSilentDaemon, type SilentDaemon } from './absent-daemon.ts';
import { accessHint, lookAtAccess } from './access-hint.ts';
import { CliError } from './cli-error.ts';
import { type PulseOptions, SILENT_MS, silenceOfFullSocket, untilSilent } from './daemon-pulse.ts';
import { EXIT } from './exit-code.ts';

/** A plan of 10,000 applications has about 20 MB. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
/** One line of the event stream. */
const MAX_LINE_CHARACTERS = 1024 * 1024;
/** For what is put into force; the largest rulesets take the kernel seconds. Meanwhile the daemon answers other questions, or it hangs. */
const ANSWER_TIMEOUT_MS = 120_000;
/** Events may be hours apart. */
const WATCH_LOOK_MS = 5000;
/** sizeof(sun_path) - 1, unix(7) */
const MAX_SOCKET_PATH_BYTES = 107;

export interface DaemonClient {
  get<T>(path: string): Promise<T>;
  /** An answer that is not JSON. */
  text(path: string): Promise<string>;
  post<T>(path: string, body?: object): Promise<T>;
  /** Hands on each line of an answer without end, until the daemon ends or `signal` aborts; both are a normal end. */
  lines(path: string, onLine: (line: string) => void, signal: AbortSignal): Promise<void>;
}

/** Nothing happens before the first request. */
export function openClient(
  socketPath: string,
  { timeoutMs = ANSWER_TIMEOUT_MS, silentMs = SILENT_MS }: ClientOptions = {},
): DaemonClient {
  const asking = <T>(
    ask: { readonly method: string; readonly path: string; readonly body?: object; readonly isStream?: true },
    read: (answer: http.IncomingMessage) => Promise<T>,
    everyMs?: number,
  ): Promise<T> =>
    whileItLives(socketPath, { silentMs, ...(everyMs !== undefined && { everyMs }) }, async (signal) =>
      read(await request(socketPath, { ...ask, signal, timeoutMs })),
    );
  return {
    get: <T>(path: string) => asking({ method: 'GET', path }, (answer) => readJson<T>(answer)),
    text: (path) => asking({ method: 'GET', path }, readText),
    post: <T>(path: string, body: object = {}) =>
      asking({ method: 'POST', path, body }, (answer) => readJson<T>(answer)),
    lines: async (path, onLine, signal) => {
      const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      const reading = asking(
        { method: 'GET', path, isStream: true },
        (answer) => readLines(answer, onLine),
        WATCH_LOOK_MS,
      );
      try {
        await Promise.race([reading, ended]);
      } catch (error) {
        if (!signal.aborted && !(error instanceof BrokenOff)) throw error;
      }
    },
  };
}

export interface ClientOptions {
  /** For one answer; the daemon lives. */
  readonly timeoutMs?: number;
  /** After so long without any answer it does not. */
  readonly silentMs?: number;
}

/** Rejects with NoAnswer, and aborts, where the daemon is stopped or does not answer any more. */
async function whileItLives<T>(
  socketPath: string,
  options: Pick<PulseOptions, 'silentMs' | 'everyMs'>,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const silence = untilSilent(socketPath, { ...options, signal: over.signal }).then(async (silent) => {
    if (silent === undefined) return await new Promise<never>(() => undefined);
    throw new NoAnswer(await observeSilentDaemon(silent));
  });
  const working = work(over.signal);
  // Whichever comes second is of no interest to anybody.
  working.catch(() => undefined);
  silence.catch(() => undefined);
  try {
    return await Promise.race([working, silence]);
  } catch (error) {
    if (!(error instanceof SocketFull)) throw error;
    throw new NoAnswer(await observeSilentDaemon(await silenceOfFullSocket()));
  } finally {
    over.abort();
  }
}

/** Nobody has taken a question from it for long: unix(7), EAGAIN. */
class SocketFull extends CliError {
  constructor(cause: unknown) {
    super(EXIT.notRunning, 'the daemon does not take questions', { cause });
  }
}

class BrokenOff extends CliError {
  constructor(cause: unknown) {
    super(EXIT.failed, 'the daemon ended while it was answering', { cause });
  }
}

interface Request {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** It has no end. */
  readonly isStream?: true;
}

/** Resolves with an answer whose status says that it went well. */
function request(
  socketPath: string,
  { method, path, body, signal, timeoutMs, isStream }: Request,
): Promise<http.IncomingMessage> {
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
    throw new CliError(EXIT.usage, `the path of the daemon's socket is too long for Linux: ${socketPath}`);
  }
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    host: 'pointsman',
    ...(payload === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
  };
  return new Promise((resolve, reject) => {
    const options = { socketPath, method, path, headers, signal };
    const sent = http.request(options, (answer) => {
      // A stream of events may be silent for hours.
      if (isStream) sent.setTimeout(0);
      accept(answer, socketPath).then(resolve, reject);
    });
    sent.setTimeout(timeoutMs, () => sent.destroy(new TookTooLong(timeoutMs)));
    sent.on('error', (error: NodeJS.ErrnoException) => reject(explainFailure(error, socketPath)));
    sent.end(payload);
  });
}

async function accept(answer: http.IncomingMessage, socketPath: string): Promise<http.IncomingMessage> {
  const version = answer.headers['pointsman-api'];
  if (version !== undefined && version !== String(API_VERSION)) {
    answer.destroy();
    const hint = 'restart the daemon, or use the pointsman that it was started with';
    throw new CliError(EXIT.failed, `the daemon speaks version ${version} of the interface, this one ${API_VERSION}`, {
      hint,
    });
  }
  const status = answer.statusCode ?? 0;
  if (status >= 200 && status < 300) return answer;
  throw refusal(status, await readText(answer), socketPath);
}

function refusal(status: number, text: string, socketPath: string): CliError {
  const error = apiErrorOf(text);
  // Who may talk to it, and yet not do this, is told what is missing.
  if (status === 403 && error?.hint !== undefined)
    return new CliError(EXIT.notPermitted, error.message, { hint: error.hint });
  if (status === 401 || status === 403) return notPermitted(socketPath);
  if (error === undefined) return new CliError(EXIT.failed, `the daemon answered with HTTP status ${status}`);
  const exitCode = status === 400 ? EXIT.usage : EXIT.failed;
  return new CliError(exitCode, error.message, { hint: error.hint });
}

function apiErrorOf(text: string): ApiError | undefined {
  try {
    const value = JSON.parse(text) as Partial<ApiError> | null;
    return typeof value?.code === 'string' && typeof value.message === 'string' ? (value as ApiError) : undefined;
  } catch {
    return undefined;
  }
}

function explainFailure(error: NodeJS.ErrnoException, socketPath: string): Error {
  if (error instanceof CliError) return error;
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
    case 'ENOTDIR':
      return new CliError(EXIT.notRunning, 'the daemon is not running', { cause: error, hint: 'sudo pointsman up' });
    case 'EACCES':
    case 'EPERM':
      return notPermitted(socketPath, error);
    case 'EAGAIN':
      return new SocketFull(error);
    case 'ECONNRESET':
    case 'EPIPE':
      return new BrokenOff(error);
    default:
      return new CliError(EXIT.failed, `no answer from the daemon: ${error.message}`, { cause: error });
  }
}

function notPermitted(socketPath: string, cause?: Error): CliError {
  const hint = accessHint(lookAtAccess(socketPath));
  const message = `only root and members of the group pointsman may talk to the daemon (${socketPath})`;
  return new CliError(EXIT.notPermitted, message, { hint, cause });
}

/** The daemon is stopped or hangs: its socket took the question, and that was all. */
export class NoAnswer extends CliError {
  readonly daemon: SilentDaemon;

  constructor(daemon: SilentDaemon) {
    const { message, hint } = describeAbsentDaemon(daemon);
    super(EXIT.notRunning, message, { hint });
    this.daemon = daemon;
  }
}

/** No daemon is there, as far as its socket tells; one that does not answer is. */
export const isNotRunning = (error: unknown): error is CliError =>
  error instanceof CliError && error.exitCode === EXIT.notRunning && !(error instanceof NoAnswer);

/** It answers others meanwhile. */
class TookTooLong extends CliError {
  constructor(timeoutMs: number) {
    super(EXIT.failed, `the daemon has not answered this for ${timeoutMs / 1000} s, and answers other questions`, {
      hint: 'sudo pointsman status',
    });
  }
}

async function readJson<T>(answer: http.IncomingMessage): Promise<T> {
  const text = await readText(answer);
  try {
    return (text === '' ? {} : JSON.parse(text)) as T;
  } catch (error) {
    throw new CliError(EXIT.failed, 'the answer of the daemon is not JSON', { cause: error });
  }
}

async function readText(answer: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of brokenOffIsAnError(answer)) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) {
      throw new CliError(EXIT.failed, `the answer of the daemon has more than ${MAX_ANSWER_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function readLines(answer: http.IncomingMessage, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of brokenOffIsAnError(answer)) {
    const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') onLine(line);
    if (rest.length > MAX_LINE_CHARACTERS) throw new CliError(EXIT.failed, 'the daemon sent a line without end');
  }
}

async function* brokenOffIsAnError(answer: http.IncomingMessage): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of answer) yield chunk as Buffer;
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new BrokenOff(error);
  }
}
