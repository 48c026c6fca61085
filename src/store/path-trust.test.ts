import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TrustedPaths } from './path-trust.ts';

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const own = process.getuid?.() ?? 0;

let root: string;
let directory: string;
let file: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'path-trust-'));
  directory = join(root, 'policies');
  mkdirSync(directory);
  file = join(directory, 'a.yaml');
  writeFileSync(file, 'a');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** `there`, `absent`, `dangling`, or who can change what. */
function look(path: string, { uids = [0, own], gids = [0] } = {}): string {
  const found = new TrustedPaths({ uids: new Set(uids), gids: new Set(gids) }).look(path);
  return found.kind === 'not trusted' ? `${found.by}: ${found.at.slice(root.length)}` : found.kind;
}

describe('TrustedPaths', () => {
  it('TrustedPaths believes what nobody else can change', () => {
    expect(look(file)).toBe('there');
    expect(look(directory)).toBe('there');
    expect(look(join(directory, 'none'))).toBe('absent');
    expect(look(join(file, 'none'))).toBe('absent');
    expect(look('/dev/null')).toBe('there');
  });

  it('TrustedPaths says who can change a file, its directory, or a directory further up', () => {
    chmodSync(file, 0o666);
    expect(look(file)).toBe('everybody: /policies/a.yaml');
    chmodSync(file, 0o644);
    chmodSync(directory, 0o757);
    expect(look(file)).toBe('everybody: /policies');
    expect(look(join(directory, 'none'))).toBe('everybody: /policies');
    chmodSync(directory, 0o755);
    chmodSync(root, 0o707);
    expect(look(file)).toBe('everybody: ');
  });

  it('TrustedPaths looks at the directories of a link’s target, and of every link on the way to it', () => {
    const elsewhere = join(root, 'elsewhere');
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, 'a'), 'a');
    symlinkSync('../elsewhere/a', join(directory, 'link.yaml'));
    symlinkSync(directory, join(elsewhere, 'back'));
    symlinkSync('elsewhere/back/link.yaml', join(root, 'far'));
    symlinkSync('nowhere', join(directory, 'dangling.yaml'));
    symlinkSync('loop.yaml', join(directory, 'loop.yaml'));
    expect(look(join(directory, 'link.yaml'))).toBe('there');
    expect(look(join(root, 'far'))).toBe('there');
    expect(look(join(directory, 'dangling.yaml'))).toBe('dangling');
    expect(look(join(directory, 'loop.yaml'))).toBe('dangling');
    chmodSync(elsewhere, 0o777);
    expect(look(join(directory, 'link.yaml'))).toBe('everybody: /elsewhere');
    expect(look(join(root, 'far'))).toBe('everybody: /elsewhere');
    chmodSync(elsewhere, 0o755);
    chmodSync(join(elsewhere, 'a'), 0o646);
    expect(look(join(root, 'far'))).toBe('everybody: /elsewhere/a');
  });

  it.runIf(isRoot)('TrustedPaths believes neither files nor directories of another user, unless he is trusted', () => {
    chownSync(file, NOBODY, 0);
    expect(look(file)).toBe(`user ${NOBODY}: /policies/a.yaml`);
    expect(look(file, { uids: [0, NOBODY] })).toBe('there');
    chownSync(file, 0, 0);
    chownSync(directory, NOBODY, 0);
    expect(look(file)).toBe(`user ${NOBODY}: /policies`);
  });

  it.runIf(isRoot)('TrustedPaths believes what a trusted group can change, and no other group', () => {
    chownSync(directory, 0, NOBODY);
    chmodSync(directory, 0o775);
    expect(look(file)).toBe(`group ${NOBODY}: /policies`);
    expect(look(file, { gids: [0, NOBODY] })).toBe('there');
  });

  it.runIf(isRoot)('TrustedPaths believes in a sticky directory only what a trusted user owns, under one name', () => {
    chmodSync(directory, 0o1777);
    expect(look(file)).toBe('there');
    const planted = join(directory, 'planted.yaml');
    symlinkSync(file, planted);
    execFileSync('chown', ['-h', 'nobody', planted]);
    expect(look(planted)).toBe(`user ${NOBODY}: /policies/planted.yaml`);
    linkSync(file, join(root, 'second'));
    expect(look(file)).toBe('whoever gave it a second name: /policies/a.yaml');
    chownSync(directory, NOBODY, 0);
    expect(look(join(directory, 'none'))).toBe(`user ${NOBODY}: /policies`);
  });

  it.runIf(isRoot)('TrustedPaths reads access lists: a user whom the mode does not name can write', () => {
    setAccessList(file, [
      [0x01, 6, 0xffff_ffff],
      [0x02, 6, NOBODY],
      [0x04, 4, 0xffff_ffff],
      [0x10, 6, 0xffff_ffff],
      [0x20, 4, 0xffff_ffff],
    ]);
    expect(look(file)).toBe(`user ${NOBODY}: /policies/a.yaml`);
    setAccessList(file, [
      [0x01, 6, 0xffff_ffff],
      [0x02, 4, NOBODY],
      [0x04, 6, 0xffff_ffff],
      [0x08, 4, NOBODY],
      [0x10, 6, 0xffff_ffff],
      [0x20, 4, 0xffff_ffff],
    ]);
    expect(look(file)).toBe('there');
  });
});

/** As setfacl(1) does: entries of tag, permissions and id. */
function setAccessList(path: string, entries: readonly (readonly [number, number, number])[]): void {
  const program = [
    'import os, struct, sys, json',
    'entries = json.loads(sys.argv[2])',
    'value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)',
    'os.setxattr(sys.argv[1], "system.posix_acl_access", value)',
  ].join('\n');
  execFileSync('python3', ['-c', program, path, JSON.stringify(entries)]);
}
