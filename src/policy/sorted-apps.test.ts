import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changedApps, findApp, placeOfApp } from './sorted-apps.ts';

const named = fc
  .uniqueArray(fc.string({ maxLength: 3 }), { maxLength: 12 })
  .map((apps) => apps.sort().map((app) => ({ app })));

describe('findApp', () => {
  it('findApp finds each application of the list and no other', () => {
    fc.assert(
      fc.property(named, fc.string({ maxLength: 3 }), (apps, other) => {
        for (const entry of apps) expect(findApp(apps, entry.app)).toBe(entry);
        expect(findApp(apps, other)).toBe(apps.find(({ app }) => app === other));
      }),
    );
  });
});

describe('placeOfApp', () => {
  it('placeOfApp tells where one that is not there would stand', () => {
    const apps = [{ app: 'b' }, { app: 'd' }];
    expect(['a', 'b', 'c', 'd', 'e'].map((app) => placeOfApp(apps, app))).toEqual([-1, 0, -2, 1, -3]);
  });
});

describe('changedApps', () => {
  it('changedApps names, sorted, just those that are new, gone or another object', () => {
    fc.assert(
      fc.property(named, named, fc.infiniteStream(fc.boolean()), (before, fresh, keeps) => {
        const after = fresh.map((entry) => (keeps.next().value ? (findApp(before, entry.app) ?? entry) : entry));
        const all = [...new Set([...before, ...after].map(({ app }) => app))].sort();
        expect(changedApps(before, after)).toEqual(all.filter((app) => findApp(before, app) !== findApp(after, app)));
      }),
    );
  });
});
