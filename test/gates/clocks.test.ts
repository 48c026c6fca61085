/**
 * The time of day is asked for in few files: everything else measures by a clock that nobody sets (`net/clock.ts`), or shows
 * a time that it is given.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SOURCE = fileURLToPath(new URL('../../src', import.meta.url));

/** File -> why. */
const ASKS: Readonly<Record<string, string>> = {
  'kernel/system-clock.ts': 'the clock itself',
  'watch/probe.ts': 'compared with the kernel’s time stamp of an arrival',
  'watch/containers.ts': 'compared with the time at which a file was written',
  'store/source-file.ts': 'compared with the time at which a file was changed',
  'watch/local-time.ts': 'makes a time of the day or of the week of a moment',
  'daemon/profile-clock.ts': 'makes moments of times of the week',
  'lab/servers.ts': 'notes when the lab’s servers were asked',
};
const COMMENTS = /\/\*[\s\S]*?\*\/|\/\/.*$/gm;

const asksForDate = (source: string): boolean => /\bDate\b/.test(source.replaceAll(COMMENTS, ''));

const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .sort();

describe('the time of day', () => {
  it('the time of day is asked for by no file but those that say why', () => {
    const asking = files.filter((file) => asksForDate(readFileSync(join(SOURCE, file), 'utf8')));
    expect(asking).toEqual(Object.keys(ASKS).sort());
  });

  it.each(['const a = Date.now();', 'const b = new Date();', 'run({ nowMs: Date.now });', 'const { now } = Date;'])(
    'the time of day is found in %s',
    (line) => {
      expect(asksForDate(line)).toBe(true);
    },
  );
});
