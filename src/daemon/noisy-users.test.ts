import { describe, expect, it } from 'vitest';
import { NOISY_FOR_MS, NOISY_REFUSALS, NoisyUsers } from './noisy-users.ts';

function refuse(users: NoisyUsers, uid: number, times: number, atMs: number): number {
  let cuts = 0;
  for (let i = 0; i < times; i += 1) if (users.note(uid, atMs)) cuts += 1;
  return cuts;
}

describe('NoisyUsers', () => {
  it('NoisyUsers drops a user who is refused too often within a few seconds, once for as long as that holds', () => {
    const users = new NoisyUsers();
    expect(refuse(users, 1000, NOISY_REFUSALS - 1, 0)).toBe(0);
    expect(refuse(users, 1001, NOISY_REFUSALS - 1, 0)).toBe(0);
    expect(refuse(users, 1000, NOISY_REFUSALS, 5000)).toBe(1);
    expect(refuse(users, 1000, 3 * NOISY_REFUSALS, NOISY_FOR_MS)).toBe(0);
    expect(refuse(users, 1000, NOISY_REFUSALS, NOISY_FOR_MS + 6000)).toBe(1);
  });

  it('NoisyUsers lets who is refused now and then alone, and root, and those whom nobody knows', () => {
    const users = new NoisyUsers();
    for (let second = 0; second < 10; second += 1)
      expect(refuse(users, 1000, NOISY_REFUSALS - 1, second * 5000)).toBe(0);
    expect(refuse(users, 0, 10 * NOISY_REFUSALS, 0)).toBe(0);
    expect(refuse(users, -1, 10 * NOISY_REFUSALS, 0)).toBe(0);
  });
});
