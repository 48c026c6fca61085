import { describe, expect, it } from 'vitest';
import { mayRead } from './may-read.ts';

const directory = (mode: number, uid = 0, gid = 0) => ({ path: '/d', uid, gid, mode: 0o040000 | mode });
const file = (mode: number, uid = 0, gid = 0) => ({ path: '/d/f', uid, gid, mode: 0o100000 | mode });

describe('mayRead()', () => {
  it.each([
    ['root reads everything', { uid: 0, gids: [0] }, [directory(0), file(0)], true],
    ['everybody reads what is for everybody', { uid: 5, gids: [5] }, [directory(0o755), file(0o644)], true],
    ['a directory that cannot be passed hides it', { uid: 5, gids: [5] }, [directory(0o700), file(0o644)], false],
    ['a directory need not be listed', { uid: 5, gids: [5] }, [directory(0o711), file(0o644)], true],
    ['a secret is for nobody else', { uid: 5, gids: [5] }, [directory(0o755), file(0o640, 0, 42)], false],
    ['a group reads what is for it', { uid: 5, gids: [5, 42] }, [directory(0o755), file(0o640, 0, 42)], true],
    ['the owner’s own part counts alone', { uid: 5, gids: [5] }, [directory(0o755), file(0o044, 5, 5)], false],
    ['the group’s own part counts alone', { uid: 5, gids: [42] }, [directory(0o755), file(0o604, 0, 42)], false],
  ])('mayRead() says: %s', (_, reader, permissions, expected) => {
    expect(mayRead(reader, permissions)).toBe(expected);
  });
});
