import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { literal, packagesIn, packagesOfFile } from './packages-of-file.ts';

describe('literal', () => {
  it('literal leaves no character that a pattern has a use for', () => {
    expect(literal('/usr/b[a]*?\\n')).toBe('/usr/b\\[a\\]\\*\\?\\\\n');
    expect(literal('/usr/bin/a-b.c')).toBe('/usr/bin/a-b.c');
  });
});

describe('packagesIn', () => {
  it('packagesIn reads what dpkg-query writes', () => {
    const stdout = `diversion by dash from: /bin/sh
diversion by dash to: /bin/sh.distrib
dash: /bin/sh
libc6:amd64, libc6:i386: /usr/share/x: y
odd: /bin/sh.old
`;
    expect(packagesIn(stdout, ['/usr/bin/sh', '/bin/sh'])).toEqual(['dash']);
    expect(packagesIn(stdout, ['/usr/share/x: y'])).toEqual(['libc6:amd64', 'libc6:i386']);
    expect(packagesIn('', ['/bin/sh'])).toEqual([]);
  });
});

describe.runIf(existsSync('/usr/bin/dpkg-query'))('packagesOfFile', () => {
  it('packagesOfFile finds the package of a program under the path that it runs by', async () => {
    expect(await packagesOfFile('/usr/bin/dpkg-query')).toEqual(['dpkg']);
    expect(await packagesOfFile('/usr/bin/ls')).toEqual(['coreutils']);
    // A pattern to the shell.
    expect(await packagesOfFile('/usr/bin/[')).toEqual(['coreutils']);
  });

  it.each(['/usr/bin/dpkg-quer*', '/usr/bin/[d]pkg-query', '/usr/bin/dpkg-quer?', '/nowhere'])(
    'packagesOfFile takes %j for a path and for no pattern',
    async (path) => {
      expect(await packagesOfFile(path)).toEqual([]);
    },
  );

  it.each(['--help', '/usr/bin/dpkg-query\nx', '/a\0b', ''])('packagesOfFile does not ask about %j', async (path) => {
    expect(await packagesOfFile(path)).toEqual({ because: 'it has no path of its own' });
  });
});
