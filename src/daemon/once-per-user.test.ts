import { describe, expect, it } from 'vitest';
import { OncePerUser, SAID_EVERY_MS } from './once-per-user.ts';

describe('OncePerUser', () => {
  it('OncePerUser says each user once in a while, and few of many', () => {
    const once = new OncePerUser();
    expect([once.note(1, 0), once.note(1, 1), once.note(2, 1)]).toEqual([true, false, true]);
    expect(once.note(1, SAID_EVERY_MS)).toBe(true);
    const users = Array.from({ length: 1000 }, (_, uid) => once.note(uid, SAID_EVERY_MS + 1));
    expect(users.filter((isSaid) => isSaid)).toHaveLength(63);
  });
});
