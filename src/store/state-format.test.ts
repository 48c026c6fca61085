import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { pathsFor } from './paths.ts';
import { tookEmptyFilesForMasks } from './state-format.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'state-format-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

it('tookEmptyFilesForMasks() is true once, and only where a daemon ran before that kept no format', () => {
  const paths = pathsFor(root);
  expect(tookEmptyFilesForMasks(paths)).toBe(false);
  expect(tookEmptyFilesForMasks(paths)).toBe(false);
  rmSync(paths.lastGoodDir, { recursive: true });
  mkdirSync(join(paths.lastGoodDir, 'package'), { recursive: true });
  expect(tookEmptyFilesForMasks(paths)).toBe(true);
  expect(tookEmptyFilesForMasks(paths)).toBe(false);
  writeFileSync(join(paths.lastGoodDir, 'format'), 'garbage');
  expect(tookEmptyFilesForMasks(paths)).toBe(true);
});
