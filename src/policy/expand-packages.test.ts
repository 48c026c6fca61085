import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EffectivePolicy, PolicySet } from './effective-policy.ts';
import { type ExpandedPolicies, expandPackages } from './expand-packages.ts';
import type { Facts, PackagePrograms } from './facts.ts';
import type { Match, MatchKind } from './model.ts';
import { matchKey } from './policy-source.ts';
import { builtinSystemDefault } from './validate-system-default.ts';

const at = (line: number) => ({ file: 'a.yaml', line, column: 5 });
const entry = (kind: MatchKind, value: string, line = 1): Match => ({ kind, value, at: at(line) });
const policyOf = (app: string, ...match: readonly Match[]): EffectivePolicy => ({ app, match, rules: [], files: [] });
const NO_UPLINKS: PolicySet['uplinks'] = [];
const setOf = (...apps: readonly EffectivePolicy[]): PolicySet => ({
  apps,
  uplinks: NO_UPLINKS,
  systemDefault: builtinSystemDefault,
});
const keys = ({ policySet }: ExpandedPolicies, app: string) =>
  policySet.apps.find((policy) => policy.app === app)?.match.map(matchKey);

const CURL: PackagePrograms = { executables: ['/usr/bin/curl'], scripts: ['/usr/bin/curl-config'] };
const PACKAGES: Facts['packages'] = new Map([['curl', CURL]]);

describe('expandPackages', () => {
  it('expandPackages adds the programs of a package at the place of its entry', () => {
    const { policySet } = expandPackages(
      setOf(policyOf('a', entry('user', '5'), entry('package', 'curl', 7))),
      PACKAGES,
    );
    expect(policySet.apps[0]?.match).toEqual([
      entry('user', '5'),
      entry('package', 'curl', 7),
      { ...entry('exec', '/usr/bin/curl', 7), fromPackage: 'curl' },
      { ...entry('script', '/usr/bin/curl-config', 7), fromPackage: 'curl' },
    ]);
  });

  it('expandPackages leaves a program to the policy that names it, before or after', () => {
    for (const other of ['0', 'b']) {
      const apps = [policyOf('a', entry('package', 'curl')), policyOf(other, entry('exec', '/usr/bin/curl'))];
      const expanded = expandPackages(setOf(...apps.sort((x, y) => (x.app < y.app ? -1 : 1))), PACKAGES);
      expect(keys(expanded, 'a')).toEqual(['package curl', 'script /usr/bin/curl-config']);
      expect(keys(expanded, other)).toEqual(['exec /usr/bin/curl']);
    }
  });

  it('expandPackages gives a program that two packages have to the first', () => {
    const packages = new Map([...PACKAGES, ['curl:amd64', CURL]]);
    const twice = expandPackages(
      setOf(policyOf('a', entry('package', 'curl'), entry('package', 'curl:amd64'))),
      packages,
    );
    expect(keys(twice, 'a')).toHaveLength(4);
    const [a, b] = [policyOf('a', entry('package', 'curl')), policyOf('b', entry('package', 'curl:amd64'))];
    const two = expandPackages(setOf(a, b), packages);
    expect(keys(two, 'a')).toHaveLength(3);
    expect(two.policySet.apps[1]).toBe(b);
  });

  it('expandPackages changes nothing where no package is named or installed', () => {
    const plain = setOf(policyOf('a', entry('exec', '/a')));
    expect(expandPackages(plain, PACKAGES).policySet).toBe(plain);
    const missing = setOf(policyOf('a', entry('package', 'wget')));
    expect(expandPackages(missing, PACKAGES).policySet).toBe(missing);
  });

  it('expandPackages keeps every object for which nothing changed', () => {
    const [a, b, c] = [policyOf('a', entry('package', 'curl')), policyOf('b'), policyOf('c', entry('package', 'wget'))];
    const first = expandPackages(setOf(a, b, c), PACKAGES);
    expect(first.policySet.apps[1]).toBe(b);
    expect(first.policySet.apps[2]).toBe(c);
    expect(expandPackages(first.memory.source, PACKAGES, first)).toBe(first);
    expect(keys(expandPackages(first.memory.source, new Map(), first), 'a')).toEqual(['package curl']);
    const readAgain = new Map([['curl', { ...CURL }]]);
    expect(expandPackages(setOf(a, b, c), readAgain, first).policySet).toBe(first.policySet);
    const other = expandPackages(setOf(a, policyOf('b', entry('user', '1')), c), PACKAGES, first);
    expect(other.policySet.apps[0]).toBe(first.policySet.apps[0]);
    const upgraded = expandPackages(setOf(a, b, c), new Map([['curl', { executables: [], scripts: ['/x'] }]]), first);
    expect(keys(upgraded, 'a')).toEqual(['package curl', 'script /x']);
    const removed = expandPackages(setOf(a, b, c), new Map(), upgraded);
    expect(removed.policySet.apps[0]).toBe(a);
  });

  it('expandPackages says the same with and without memory, and no entry twice', () => {
    const path = fc.constantFrom('/p', '/q', '/r');
    const match = fc.uniqueArray(
      fc.oneof(
        fc.constantFrom('x', 'y', 'z').map((name) => entry('package', name)),
        path.map((value) => entry('exec', value)),
        path.map((value) => entry('script', value)),
      ),
      { maxLength: 3, selector: matchKey },
    );
    const programs = fc.record({
      executables: fc.uniqueArray(path, { maxLength: 3 }),
      scripts: fc.uniqueArray(path, { maxLength: 3 }),
    });
    const step = fc.record({
      matches: fc.tuple(match, match, match),
      kept: fc.constantFrom(0, 1, 2),
      packages: fc.option(fc.dictionary(fc.constantFrom('x', 'y'), programs), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 5 }), (steps) => {
        let before: ExpandedPolicies | undefined;
        let apps: readonly EffectivePolicy[] = [];
        let packages: Facts['packages'] = new Map();
        for (const { matches, kept, packages: now } of steps) {
          const taken = new Set<string>();
          const free = (of: Match) => !taken.has(matchKey(of)) && taken.add(matchKey(of)) !== undefined;
          const old = apps[kept];
          const keptApps = old === undefined || !old.match.every(free) ? [] : [old];
          apps = matches.map(
            (of, i) => (i === kept ? keptApps[0] : undefined) ?? policyOf(`app${i}`, ...of.filter(free)),
          );
          if (now !== undefined) packages = new Map(Object.entries(now));
          const fresh = expandPackages(setOf(...apps), packages);
          before = expandPackages(setOf(...apps), packages, before);
          expect(before.policySet).toEqual(fresh.policySet);
          const all = fresh.policySet.apps.flatMap((policy) => policy.match.map(matchKey));
          expect(new Set(all).size).toBe(all.length);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('expandPackages costs little for 10,000 applications of which one changes', () => {
    const apps = Array.from({ length: 10_000 }, (_, i) => {
      const name = `app${String(i).padStart(5, '0')}`;
      return policyOf(name, entry('exec', `/opt/${name}`), ...(i % 20 === 0 ? [entry('package', name)] : []));
    });
    const packages = new Map(
      apps.map(({ app }) => [app, { executables: [`/usr/bin/${app}`, `/usr/sbin/${app}`], scripts: [] }]),
    );
    const first = expandPackages(setOf(...apps), packages);
    const took = Array.from({ length: 5 }, (_, i) => {
      const next = setOf(...apps.with(i, policyOf(apps[i]?.app ?? '', entry('user', '7'))));
      const start = performance.now();
      const { policySet } = expandPackages(next, packages, first);
      const ms = performance.now() - start;
      expect(policySet.apps[20]).toBe(first.policySet.apps[20]);
      return ms;
    });
    expect(Math.min(...took)).toBeLessThan(50);
  });
});
