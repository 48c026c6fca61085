import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assignIds, emptyRegister, type IdRegister, registerFrom, storedIds } from './id-register.ts';

const idsOf = ({ inUse }: IdRegister) => Object.fromEntries(inUse);

describe('assignIds', () => {
  it('assignIds gives away the number of a vanished name only when no other is left, the longest gone first', () => {
    let { register } = assignIds(emptyRegister(1, 3), ['a', 'b']);
    ({ register } = assignIds(register, ['b']));
    ({ register } = assignIds(register, ['c']));
    expect(idsOf(register)).toEqual({ c: 3 });
    ({ register } = assignIds(register, ['c', 'd']));
    expect(idsOf(register)).toEqual({ c: 3, d: 1 });
    ({ register } = assignIds(register, ['c', 'd', 'e']));
    expect(idsOf(register)).toEqual({ c: 3, d: 1, e: 2 });
    expect(assignIds(register, ['c', 'd', 'e', 'f']).without).toEqual(['f']);
  });

  it('assignIds returns the register itself where the names are those in use', () => {
    const { register } = assignIds(emptyRegister(1, 9), ['a', 'b']);
    expect(assignIds(register, ['b', 'a']).register).toBe(register);
  });

  it('assignIds keeps every number of a name that stays, and never gives one number twice', () => {
    const names = fc.uniqueArray(fc.constantFrom(...'abcdefghij'), { maxLength: 8 });
    fc.assert(
      fc.property(fc.array(names, { maxLength: 12 }), (history) => {
        let register = emptyRegister(1, 6);
        for (const wanted of history) {
          const next = assignIds(register, wanted);
          for (const [name, id] of register.inUse)
            if (wanted.includes(name)) expect(next.register.inUse.get(name)).toBe(id);
          const all = [...next.register.inUse.values(), ...next.register.gone.values()];
          expect(new Set(all).size).toBe(all.length);
          expect(all.every((id) => id >= 1 && id <= 6)).toBe(true);
          expect(next.register.inUse.size).toBe(Math.min(wanted.length, 6));
          expect([...next.register.inUse.keys(), ...next.without].sort()).toEqual(wanted.toSorted());
          expect(registerFrom(JSON.parse(JSON.stringify(storedIds(next.register))), 1, 6)).toEqual(next.register);
          register = next.register;
        }
      }),
    );
  });
});

describe('registerFrom', () => {
  it('registerFrom takes any value without throwing', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const register = registerFrom({ inUse: value, gone: [] }, 1, 6);
        expect(register === undefined || Array.isArray(value)).toBe(true);
        expect(registerFrom(value, 1, 6) === undefined || typeof value === 'object').toBe(true);
      }),
    );
  });
});
