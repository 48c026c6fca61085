import { describe, expect, it } from 'vitest';
import { SHARE_FULL_FOR_MS, ShareWarning } from './share-warning.ts';

const newWarning = (): ShareWarning<'queries' | 'connections'> =>
  new ShareWarning({
    nobody: 'programs that close their sockets at once',
    of: { queries: 'queries under way', connections: 'connections' },
    message: 'refused the rest',
    hint: 'ss',
  });

describe('ShareWarning', () => {
  it('ShareWarning names each user and what he was refused, until nobody has been for a while', () => {
    const shares = newWarning();
    expect(shares.warning(0)).toBeUndefined();
    expect(shares.note(1000, 'queries', 0)).toBe(true);
    expect(shares.note(1000, 'queries', 10)).toBe(false);
    expect(shares.note(65_534, 'connections', 20)).toBe(true);
    expect(shares.warning(30)?.message).toMatch(/: uid 1000 \(queries under way\), uid 65534 \(connections\)$/);
    expect(shares.warning(10 + SHARE_FULL_FOR_MS)?.message).toMatch(/: uid 65534 \(connections\)$/);
    expect(shares.warning(20 + SHARE_FULL_FOR_MS)).toBeUndefined();
    expect(shares.note(1000, 'queries', 30 + SHARE_FULL_FOR_MS)).toBe(true);
  });

  it('ShareWarning keeps few of many users', () => {
    const shares = newWarning();
    for (let uid = 0; uid < 1000; uid += 1) shares.note(uid, 'queries', uid);
    expect(shares.warning(1000)?.message).toMatch(/: uid 936 .* and 59 more$/);
  });

  it('ShareWarning says that nobody knows whose a closed socket was', () => {
    const shares = newWarning();
    shares.note(-1, 'queries', 0);
    expect(shares.warning(0)?.message).toMatch(/programs that close their sockets at once/);
  });
});
