import { describe, expect, it } from 'vitest';
import type { FileIdentity } from '../kernel/file-identity.ts';
import { interpretingScripts, MAX_CHAIN, outermostScript } from './script-chain.ts';

describe('interpretingScripts()', () => {
  const starts: Readonly<Record<string, string>> = {
    '/a': '#!/b x\n',
    '/b': '#! /c\n',
    '/c': '#!/bin/sh\n',
    '/bin/sh': '\x7fELF',
    '/plain': '#!/bin/sh\n',
    '/searched': '#!/usr/bin/env -S tool x\n',
    '/usr/bin/tool': '#!/bin/sh\n',
    '/gone': '#!/nowhere\n',
    '/itself': '#!/itself\n',
  };
  const scriptsOf = (path: string) => interpretingScripts(path, (each) => starts[each]);

  it.each([
    ['/a', ['/b', '/c']],
    ['/b', ['/c']],
    ['/plain', []],
    ['/searched', ['/usr/bin/tool']],
    ['/gone', []],
    ['/missing', []],
    ['/bin/sh', []],
    ['/itself', Array.from({ length: MAX_CHAIN }, () => '/itself')],
  ])('interpretingScripts() of %s', (path, want) => {
    expect(scriptsOf(path)).toEqual(want);
  });
});

describe('outermostScript()', () => {
  const file = (inode: bigint): FileIdentity => ({ device: 1n, inode, uid: 0n, birthNs: 0n, modifiedNs: 0n });
  const inodes: Readonly<Record<string, bigint>> = { '/c': 1n, './c': 1n, '/b': 2n, '/a': 3n, a: 3n, '/other': 4n };
  const outermost = (args: string): string | undefined =>
    outermostScript(file(1n), args.split(' '), {
      fileAt: (path) => (inodes[path] === undefined ? undefined : file(inodes[path])),
      listedPathOf: ({ inode }) => (inode === 3n ? '/a' : inode === 2n ? '/b' : undefined),
      interprets: ({ inode }) => inode <= 2n,
    });

  it.each([
    ['sh /c /a', '/a'],
    ['sh -e ./c --quiet a arg', '/a'],
    ['sh /c x /b -y /a', '/a'],
    ['sh /c /b', '/b'],
    ['sh /c', undefined],
    ['sh /c /other /a', undefined],
    ['sh /a /c', undefined],
    ['/c /a', undefined],
    [`sh /c ${'-x '.repeat(20)}/a`, undefined],
  ])('outermostScript() of `%s` is %s', (args, want) => {
    expect(outermost(args)).toBe(want);
  });
});
