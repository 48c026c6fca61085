import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { editorCommand } from './edit-copy.ts';
import { findTrial } from './tried-files.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pointsman-tried-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const POLICY = 'pointsman: 1\napp: a\nmatch:\n  - exec: /usr/bin/a\notherwise: deny\n';
function write(path: string, text: string): void {
  mkdirSync(join(directory, path, '..'), { recursive: true });
  writeFileSync(join(directory, path), text);
}
const found = (): (string | undefined)[][] =>
  findTrial(directory).files.map(({ path, base64 }) => [path, base64 && 'bytes']);

describe('findTrial', () => {
  it('findTrial() takes a directory as /etc/pointsman, masks included', () => {
    write('policies/a.yaml', POLICY);
    write('locks/b.yaml', POLICY);
    write('uplinks/wifi.yaml', 'pointsman: 1\nuplink: wifi\ndevice: wlan0\ntype: wifi\n');
    write('default.yaml', 'pointsman: 1\notherwise: deny\n');
    symlinkSync('/dev/null', join(directory, 'policies/masked.yaml'));
    expect(found()).toEqual([
      ['default.yaml', 'bytes'],
      ['locks/b.yaml', 'bytes'],
      ['policies/a.yaml', 'bytes'],
      ['policies/masked.yaml', undefined],
      ['uplinks/wifi.yaml', 'bytes'],
    ]);
  });

  it('findTrial() takes files without order, each for what it is', () => {
    write('a.yaml', POLICY);
    write('wifi.yaml', 'pointsman: 1\nuplink: wifi\ndevice: wlan0\ntype: wifi\n');
    expect(found()).toEqual([
      ['policies/a.yaml', 'bytes'],
      ['uplinks/wifi.yaml', 'bytes'],
    ]);
    expect(findTrial(directory).sources.get('policies/a.yaml')).toBe(join(directory, 'a.yaml'));
  });

  it('findTrial() refuses two of one name, and none at all', () => {
    expect(() => findTrial(directory)).toThrow('there is no policy file');
    write('a.yaml', POLICY);
    write('policies/a.yaml', POLICY);
    expect(() => findTrial(directory)).toThrow('would both be policies/a.yaml');
  });
});

describe('editorCommand', () => {
  it('editorCommand() asks sudo’s variable first, and takes empty ones for none', () => {
    expect(editorCommand({ SUDO_EDITOR: 'a', VISUAL: 'b', EDITOR: 'c' })).toBe('a');
    expect(editorCommand({ SUDO_EDITOR: '', VISUAL: 'b -x', EDITOR: 'c' })).toBe('b -x');
    expect(editorCommand({ EDITOR: 'c' })).toBe('c');
    expect(editorCommand({})).toContain('editor nano vi');
  });
});
