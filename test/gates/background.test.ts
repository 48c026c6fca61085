/** Nothing in the daemon runs without an owner: handlers of events and timers go through `Background`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
/** What is part of the daemon's process. */
const LAYERS = ['apply', 'daemon', 'identify', 'kernel', 'store', 'watch'];

/** Calls that hand over what nobody waits for, up to where that begins. */
const HANDS_OVER =
  /\.(?:on|once|addListener|prependListener)\(\s*'[\w]+',\s*|\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\(\s*|\bprocess\.nextTick\(\s*|\.setTimeout\(\s*[\w.]+,\s*|(?<![#.\w])watch\(\s*directory,\s*(?:\{[^}]*\},\s*)?|\bcreateServer\(\s*(?:\{[^}]*\},\s*)?/g;
const OWNED = /^(?:this\.#(?:parts\.|options\.)?)?background\.(?:handler\(|hear\b)/;
/** They settle a promise and do nothing else: whoever waits for it is their owner. */
const SETTLES = /^(?:\(\) => |\(\w+\) => )?(?:resolve|reject|done)(?:\)|\((?:true|false|undefined)?\)\)?)/;

/** File and what is handed over there, for a reason. */
const PERMITTED: Readonly<Record<string, string>> = {
  'kernel/background.ts': 'the owner itself',
  'kernel/instance-name.ts': 'settles the promise of whoever asks, and catches what the kernel refuses',
  'kernel/look-thread.ts': 'nothing but noting that the thread has ended, which its deadline tells as well',
  'kernel/run-tool.ts': 'collects what a tool writes, and settles the promise of whoever runs it',
  'daemon/signals.ts': 'given to the owner by its caller',
  'daemon/run.ts': 'the last resort',
  'daemon/request-body.ts': 'collects a body, and settles the promise of whoever answers the request',
  'daemon/instance-lock.ts': 'the lock’s own server says nothing to anybody',
  'daemon/dns-ask.ts': 'each event is guarded there, and settles the promise of whoever asks',
};

interface Found {
  readonly line: number;
  readonly text: string;
}

/** In a source text without its comments. */
function unowned(source: string): readonly Found[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, (comment) => comment.replaceAll(/[^\n]/g, ' '));
  return [...code.matchAll(HANDS_OVER)].flatMap((match) => {
    const handed = code.slice(match.index + match[0].length);
    // `setImmediate()` of node:timers/promises takes nothing, and is waited for.
    if (OWNED.test(handed) || SETTLES.test(handed) || handed.startsWith(')')) return [];
    const line = code.slice(0, match.index).split('\n').length;
    return [{ line, text: `${match[0]}${handed.split('\n', 1)[0]}`.replaceAll(/\s+/g, ' ') }];
  });
}

function sources(): readonly string[] {
  return LAYERS.flatMap((layer) =>
    readdirSync(join(SRC, layer), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map((name) => join(SRC, layer, name)),
  );
}

describe('the owner of what nobody waits for', () => {
  it('the daemon hands over nothing without it', () => {
    const found = sources()
      .filter((file) => !(relative(SRC, file) in PERMITTED))
      .flatMap((file) =>
        unowned(readFileSync(file, 'utf8')).map(({ line, text }) => `${relative(SRC, file)}:${line} ${text}`),
      );
    expect(found).toEqual([]);
  });

  it('no exception is left over', () => {
    const unneeded = Object.keys(PERMITTED).filter(
      (file) => unowned(readFileSync(join(SRC, file), 'utf8')).length === 0,
    );
    expect(unneeded).toEqual([]);
  });

  it.each([
    "socket.on('data', (chunk) => take(chunk));",
    "socket\n  .once('error', () => undefined);",
    'timer = setTimeout(() => look(), 5);',
    'timer = setInterval(look, 5);',
    'setImmediate(look);',
    'queueMicrotask(look);',
    'process.nextTick(look);',
    'connection.setTimeout(IDLE_MS, () => connection.destroy());',
    'const watcher = watch(directory, () => look());',
    'const watcher = watch(directory, { persistent: false }, (event) => look(event));',
    'const server = createServer({ noDelay: true }, (connection) => serve(connection));',
  ])('it finds %s', (source) => {
    expect(unowned(source)).toHaveLength(1);
  });

  it.each([
    "socket.on('data', background.handler((chunk) => take(chunk)));",
    "server.on('error', this.#background.hear);",
    'timer = this.#parts.background.timeout(look, 5);',
    "socket.once('error', reject);",
    "socket.once('error', () => resolve(false));",
    'await setImmediate();',
    '/** setTimeout(look) */',
  ])('it permits %s', (source) => {
    expect(unowned(source)).toEqual([]);
  });
});
