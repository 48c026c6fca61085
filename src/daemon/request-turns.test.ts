import { describe, expect, it } from 'vitest';
import { RequestTurns, WORKED_ON_OF_USER } from './request-turns.ts';

const wanted = (): boolean => true;

/** Work that is done when it is told to be, and what has begun. */
function controlled() {
  const begun: string[] = [];
  const finish: (() => void)[] = [];
  const work = (name: string) => (): Promise<string> => {
    begun.push(name);
    return new Promise((resolve) => finish.push(() => resolve(name)));
  };
  return { begun, finish, work };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('RequestTurns', () => {
  it('RequestTurns works on so many of a user at a time, in order, and on those of others and of root beside them', async () => {
    const turns = new RequestTurns();
    const { begun, finish, work } = controlled();
    const all = ['a1', 'a2', 'a3', 'a4'].map((name) => turns.run(1000, wanted, work(name)));
    all.push(turns.run(1001, wanted, work('b1')));
    for (let i = 0; i < 4; i += 1) all.push(turns.run(0, wanted, work(`root${i}`)));
    expect(WORKED_ON_OF_USER).toBe(2);
    expect(begun).toEqual(['a1', 'a2', 'b1', 'root0', 'root1', 'root2', 'root3']);
    finish[0]?.();
    await settled();
    expect(begun.at(-1)).toBe('a3');
    for (let i = 0; i < 9; i += 1) {
      finish[i]?.();
      await settled();
    }
    expect(await Promise.all(all)).toEqual(['a1', 'a2', 'a3', 'a4', 'b1', 'root0', 'root1', 'root2', 'root3']);
  });

  it('RequestTurns does nothing for who has gone, and goes on after a failure', async () => {
    const turns = new RequestTurns();
    const { begun, finish, work } = controlled();
    const first = [turns.run(7, wanted, work('1')), turns.run(7, wanted, work('2'))];
    const gone = turns.run(7, () => false, work('gone'));
    const failing = turns.run(7, wanted, () => Promise.reject(new Error('broken')));
    const last = turns.run(7, wanted, work('last'));
    const failure = expect(failing).rejects.toThrow('broken');
    for (const end of finish.slice(0, 2)) end();
    expect(await gone).toBeUndefined();
    await failure;
    await settled();
    for (const end of finish) end();
    expect(await Promise.all([...first, last])).toEqual(['1', '2', 'last']);
    expect(begun).toEqual(['1', '2', 'last']);
  });
});
