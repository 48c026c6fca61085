import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LAYERS } from './layers.ts';
import { type LayerPolicies, mergeChanges, mergePolicies, type SourceChange } from './merge.ts';
import type { Accept, Children, Existing, Layer, Match, Policy, Rule, Verb, Via, Word } from './model.ts';
import { matchKey } from './policy-source.ts';

const at = (file: string, line = 1) => ({ file, line, column: 1 });

function rule(file: string, line: number, verb: Verb, via?: Via): Rule {
  const place = at(file, line);
  return {
    to: [{ text: '*', target: { kind: 'any' }, at: place }],
    do: verb,
    at: place,
    ...(via === undefined ? {} : { via }),
  };
}

const exec = (file: string, path: string, line = 2): Match => ({ kind: 'exec', value: path, at: at(file, line) });

function via(file: string, choice: Via['else']): Via {
  return { require: {}, prefer: {}, avoid: {}, prohibit: {}, else: choice, at: at(file, 9) };
}

function policy(file: string, app: string, parts: Partial<Policy> = {}): Policy {
  return { app, match: [], rules: [], file, at: at(file), ...parts };
}

const accept = (file: string, ...texts: readonly string[]): Accept => ({
  from: texts.map((text) => ({ text, target: { kind: 'any' }, at: at(file, 10) })),
  at: at(file, 10),
});
const children = (file: string, are: Children['are']): Children => ({ are, at: at(file, 11) });

const existing = (file: string, word: Existing): Word<Existing> => ({ word, at: at(file, 12) });

const layer = (name: Layer, ...policies: Policy[]): LayerPolicies => ({ layer: name, policies });

const codes = (merged: { diagnostics: readonly { code: string; file: string }[] }) =>
  merged.diagnostics.map(({ code, file }) => `${file} ${code}`);

describe('mergePolicies', () => {
  it('mergePolicies puts the rules of upper layers first, whatever the order of its input', () => {
    const merged = mergePolicies([
      layer('package', policy('/p/a', 'a', { match: [exec('/p/a', '/a')], rules: [rule('/p/a', 3, 'allow')] })),
      layer('locks', policy('/l/a', 'a', { rules: [rule('/l/a', 3, 'drop')] })),
      layer('administrator', policy('/e/a', 'a', { rules: [rule('/e/a', 3, 'deny'), rule('/e/a', 4, 'allow')] })),
    ]);
    expect(merged.apps[0]?.rules.map(({ layer, at }) => `${layer} ${at.file}:${at.line}`)).toEqual([
      'locks /l/a:3',
      'administrator /e/a:3',
      'administrator /e/a:4',
      'package /p/a:3',
    ]);
    expect(merged.apps[0]?.files.map(({ layer }) => layer)).toEqual(['locks', 'administrator', 'package']);
    expect(merged.diagnostics).toEqual([]);
  });

  it('mergePolicies takes `otherwise`, `via` and `name` from the highest layer that states one', () => {
    const packageVia = via('/p/a', 'any');
    const merged = mergePolicies([
      layer(
        'package',
        policy('/p/a', 'a', {
          name: 'A',
          match: [exec('/p/a', '/a')],
          via: packageVia,
          otherwise: { do: 'allow', at: at('/p/a', 5) },
        }),
      ),
      layer('administrator', policy('/e/a', 'a', { otherwise: { do: 'deny', at: at('/e/a', 7) } })),
      layer('locks', policy('/l/a', 'a')),
    ]);
    expect(merged.apps[0]).toMatchObject({
      name: 'A',
      otherwise: { layer: 'administrator', value: { do: 'deny', at: { file: '/e/a', line: 7 } } },
      via: { layer: 'package', value: packageVia },
    });
  });

  it('mergePolicies cuts off what weaker layers allow behind an `otherwise` of the administrator, and names it', () => {
    const shipped = layer(
      'package',
      policy('/p/a', 'a', {
        match: [exec('/p/a', '/a')],
        rules: [rule('/p/a', 3, 'allow'), rule('/p/a', 4, 'deny'), rule('/p/a', 5, 'drop'), rule('/p/a', 6, 'allow')],
        otherwise: { do: 'allow', at: at('/p/a', 7) },
      }),
    );
    const stated = (parts: Partial<Policy>): LayerPolicies =>
      layer('administrator', policy('/e/a', 'a', { rules: [rule('/e/a', 3, 'allow')], ...parts }));
    const linesOf = (...layers: LayerPolicies[]) => {
      const merged = mergePolicies(layers);
      return [
        merged.apps[0]?.rules.map(({ at }) => `${at.file}:${at.line}`),
        merged.diagnostics.map(({ file, line, code }) => `${file}:${line} ${code}`),
      ];
    };
    for (const verb of ['deny', 'drop', 'allow'] as const) {
      expect(linesOf(shipped, stated({ otherwise: { do: verb, at: at('/e/a', 8) } }))).toEqual([
        ['/e/a:3', '/p/a:4', '/p/a:5'],
        ['/p/a:3 cut-off-rule', '/p/a:6 cut-off-rule'],
      ]);
    }
    const all = ['/e/a:3', '/p/a:3', '/p/a:4', '/p/a:5', '/p/a:6'];
    const keep = { word: 'keep', at: at('/e/a', 9) } as const;
    expect(linesOf(shipped, stated({}))).toEqual([all, []]);
    expect(linesOf(shipped, stated({ otherwise: { do: 'deny', at: at('/e/a', 8) }, below: keep }))).toEqual([all, []]);
    // A lock stands above the administrator's own file, too; who keeps there does not open what is cut below it.
    const lock = (parts: Partial<Policy>): LayerPolicies =>
      layer('locks', policy('/l/a', 'a', { otherwise: { do: 'deny', at: at('/l/a', 8) }, ...parts }));
    expect(linesOf(shipped, stated({}), lock({}))[0]).toEqual(['/p/a:4', '/p/a:5']);
    const closed = stated({ otherwise: { do: 'deny', at: at('/e/a', 8) } });
    expect(linesOf(shipped, closed, lock({ below: keep }))[0]).toEqual(['/e/a:3', '/p/a:4', '/p/a:5']);
  });

  it('mergePolicies lets no package and no answer cut off what others allow', () => {
    const closed = { do: 'deny', at: at('/x', 5) } as const;
    const merged = mergePolicies([
      layer('package', policy('/p/a', 'a', { match: [exec('/p/a', '/a')], otherwise: closed })),
      layer('administrator', policy('/e/a', 'a', { rules: [rule('/e/a', 3, 'allow')] })),
      layer('answers', policy('/v/a', 'a', { otherwise: closed })),
    ]);
    expect(merged.apps[0]?.rules.map(({ at }) => at.file)).toEqual(['/e/a']);
    expect(merged.diagnostics).toEqual([]);
  });

  it('mergePolicies lets a `via` for the whole application replace the ones of single rules in weaker layers only', () => {
    const merged = mergePolicies([
      layer(
        'package',
        policy('/p/a', 'a', { match: [exec('/p/a', '/a')], rules: [rule('/p/a', 3, 'allow', via('/p/a', 'any'))] }),
      ),
      layer(
        'administrator',
        policy('/e/a', 'a', { via: via('/e/a', 'block'), rules: [rule('/e/a', 3, 'allow', via('/e/a', 'any'))] }),
      ),
    ]);
    expect(merged.apps[0]?.rules.map(({ layer, via }) => [layer, via?.at.file])).toEqual([
      ['administrator', '/e/a'],
      ['package', undefined],
    ]);
  });

  it('mergePolicies adds up `match` entries, each once', () => {
    const merged = mergePolicies([
      layer('package', policy('/p/a', 'a', { match: [exec('/p/a', '/a'), exec('/p/a', '/b', 3)] })),
      layer('administrator', policy('/e/a', 'a', { match: [exec('/e/a', '/c'), exec('/e/a', '/a', 3)] })),
    ]);
    const shipped = { ...exec('/p/a', '/b', 3), shipped: true };
    expect(merged.apps[0]?.match).toEqual([exec('/e/a', '/c'), exec('/e/a', '/a', 3), shipped]);
  });

  it('mergePolicies keeps of an answer only what narrows, and says what it leaves out', () => {
    const merged = mergePolicies([
      layer(
        'package',
        policy('/p/a', 'a', { match: [exec('/p/a', '/a')], otherwise: { do: 'deny', at: at('/p/a', 5) } }),
      ),
      layer(
        'answers',
        policy('/v/a', 'a', {
          match: [exec('/v/a', '/bin/sh')],
          rules: [rule('/v/a', 3, 'allow'), rule('/v/a', 4, 'deny'), rule('/v/a', 5, 'drop')],
          otherwise: { do: 'allow', at: at('/v/a', 6) },
          via: via('/v/a', 'any'),
        }),
      ),
    ]);
    const [app] = merged.apps;
    expect(app?.match).toEqual([{ ...exec('/p/a', '/a'), shipped: true }]);
    expect(app?.rules.map(({ at }) => at.line)).toEqual([4, 5]);
    expect(app?.otherwise?.layer).toBe('package');
    expect(app?.via).toBeUndefined();
    expect(merged.diagnostics.map(({ line, severity, code }) => [line, severity, code])).toEqual(
      [2, 3, 6, 9].map((line) => [line, 'warning', 'not-yet-enforced']),
    );
  });

  it('mergePolicies takes the first of two files of one layer for an application and reports the second', () => {
    const first = policy('/e/1', 'a', { match: [exec('/e/1', '/a')] });
    const merged = mergePolicies([layer('administrator', policy('/e/2', 'a', { match: [exec('/e/2', '/b')] }), first)]);
    expect(merged.apps[0]?.match).toEqual(first.match);
    expect(codes(merged)).toEqual(['/e/2 duplicate-entry']);
  });

  it('mergePolicies gives an entry that two applications have to the stronger layer, and names both places', () => {
    const merged = mergePolicies([
      layer('package', policy('/p/a', 'a', { match: [exec('/p/a', '/x'), exec('/p/a', '/a', 3)] })),
      layer('administrator', policy('/e/b', 'b', { match: [exec('/e/b', '/x')] })),
    ]);
    const shipped = { ...exec('/p/a', '/a', 3), shipped: true };
    expect(merged.apps.map(({ match }) => match)).toEqual([[shipped], [exec('/e/b', '/x')]]);
    expect(merged.diagnostics).toMatchObject([{ severity: 'error', code: 'match-conflict', file: '/p/a', line: 2 }]);
    expect(merged.diagnostics[0]?.message).toContain('/e/b:2:1');
  });

  it('mergePolicies gives an entry that two applications of one layer have to the first by name', () => {
    const merged = mergePolicies([
      layer(
        'package',
        policy('/p/1', 'b', { match: [{ kind: 'unit', value: 'x.service', at: at('/p/1', 2) }] }),
        policy('/p/2', 'a', { match: [{ kind: 'unit', value: 'x.service', at: at('/p/2', 2) }] }),
      ),
    ]);
    expect(merged.apps.map(({ app, match }) => [app, match.length])).toEqual([
      ['a', 1],
      ['b', 0],
    ]);
    expect(codes(merged)).toEqual(['/p/1 match-conflict']);
  });

  it('mergePolicies does not mistake entries of different kinds for the same', () => {
    const merged = mergePolicies([
      layer(
        'package',
        policy('/p/a', 'a', { match: [{ kind: 'exec', value: '/x', at: at('/p/a', 2) }] }),
        policy('/p/b', 'b', { match: [{ kind: 'cgroup', value: '/x', at: at('/p/b', 2) }] }),
      ),
    ]);
    expect(merged.diagnostics).toEqual([]);
  });

  it('mergePolicies blocks an application one of whose files is broken, by all its entries', () => {
    const broken = {
      app: 'a',
      match: [exec('/e/a', '/b')],
      because: '/e/a:3:1: it is broken',
      file: '/e/a',
      at: at('/e/a'),
    };
    const merged = mergePolicies([
      layer('package', policy('/p/a', 'a', { match: [exec('/p/a', '/a')] })),
      { layer: 'administrator', policies: [], broken: [broken] },
    ]);
    expect(merged.apps[0]?.blocked).toEqual({ because: '/e/a:3:1: it is broken' });
    expect(merged.apps[0]?.match.map(matchKey)).toEqual(['exec /b', 'exec /a']);
  });

  it('mergePolicies warns of an application without any program', () => {
    expect(codes(mergePolicies([layer('administrator', policy('/e/a', 'a'))]))).toEqual(['/e/a no-match']);
  });

  it('mergePolicies sorts the applications by name', () => {
    const merged = mergePolicies([layer('package', policy('/p/1', 'b'), policy('/p/2', 'B'), policy('/p/3', 'a'))]);
    expect(merged.apps.map(({ app }) => app)).toEqual(['B', 'a', 'b']);
  });

  it('mergePolicies takes `accept` and `children` of the highest layer that states them', () => {
    const [merged] = mergePolicies([
      layer('package', policy('/p/a', 'a', { accept: accept('/p/a', 'lan'), children: children('/p/a', 'same') })),
      layer('administrator', policy('/e/a', 'a', { accept: accept('/e/a') })),
      layer('locks', policy('/l/a', 'a', { children: children('/l/a', 'own') })),
    ]).apps;
    expect(merged?.accept).toEqual({ layer: 'administrator', value: { from: [], at: at('/e/a', 10) } });
    expect(merged?.children).toEqual({ layer: 'locks', value: { are: 'own', at: at('/l/a', 11) } });
    expect(mergePolicies([layer('package', policy('/p/a', 'a'))]).apps[0]).not.toHaveProperty('children');
  });

  it('mergePolicies takes `existing` and `duration` of the highest layer that states them, but not of answers', () => {
    const merged = mergePolicies([
      layer('package', policy('/p/a', 'a', { match: [exec('/p/a', '/a')], existing: existing('/p/a', 'keep') })),
      layer('administrator', policy('/e/a', 'a', { existing: existing('/e/a', 'drain') })),
      layer('answers', policy('/v/a', 'a', { existing: existing('/v/a', 'abort') })),
      layer('locks', policy('/l/a', 'a', { duration: { word: 'long', at: at('/l/a', 13) } })),
    ]);
    expect(merged.apps).toMatchObject([
      {
        existing: { value: 'drain', layer: 'administrator', at: at('/e/a', 12) },
        duration: { value: 'long', layer: 'locks', at: at('/l/a', 13) },
      },
    ]);
    expect(codes(merged)).toEqual(['/v/a not-yet-enforced']);
    const answered = mergePolicies([
      layer('answers', policy('/v/a', 'a', { duration: { word: 'long', at: at('/v/a', 13) } })),
    ]);
    expect(answered.apps[0]).not.toHaveProperty('duration');
    expect(codes(answered)).toContain('/v/a not-yet-enforced');
  });

  it('mergePolicies takes of an answer that nobody may connect, but neither peers nor `children`', () => {
    const answer = (parts: Partial<Policy>) =>
      mergePolicies([
        layer('package', policy('/p/a', 'a', { match: [exec('/p/a', '/a')], accept: accept('/p/a', 'lan') })),
        layer('answers', policy('/v/a', 'a', parts)),
      ]);
    expect(answer({ accept: accept('/v/a') })).toMatchObject({
      apps: [{ accept: { layer: 'answers', value: { from: [] } } }],
      diagnostics: [],
    });
    const wider = answer({ accept: accept('/v/a', '*'), children: children('/v/a', 'same') });
    expect(wider.apps).toMatchObject([{ accept: { layer: 'package' } }]);
    expect(wider.apps[0]).not.toHaveProperty('children');
    expect(wider.diagnostics.map(({ line, code }) => `${line} ${code}`)).toEqual([
      '10 not-yet-enforced',
      '11 not-yet-enforced',
    ]);
  });

  it('mergePolicies blocks also what the application of a broken file starts', () => {
    const broken = { app: 'a', match: [], because: 'it is', file: '/e/a', at: at('/e/a') };
    const merged = mergePolicies([
      { layer: 'administrator', policies: [], broken: [{ ...broken, children: children('/e/a', 'same') }] },
    ]);
    expect(merged.apps).toMatchObject([{ blocked: {}, children: { layer: 'administrator', value: { are: 'same' } } }]);
  });
});

describe('mergePolicies with a previous result', () => {
  const a = policy('/p/a', 'a', { match: [exec('/p/a', '/a')] });
  const b = policy('/p/b', 'b', { match: [exec('/p/b', '/b')] });

  it('mergePolicies keeps the identity of applications whose files are unchanged', () => {
    const first = mergePolicies([layer('package', a, b)]);
    const second = mergePolicies([layer('package', a, { ...b })], first);
    expect(second.apps[0]).toBe(first.apps[0]);
    expect(second.apps[1]).not.toBe(first.apps[1]);
  });

  it('mergePolicies keeps the identity also of applications that lost an entry, and gives the entry back', () => {
    const thief = policy('/e/c', 'c', { match: [exec('/e/c', '/a')] });
    const first = mergePolicies([layer('package', a, b)]);
    const second = mergePolicies([layer('package', a, b), layer('administrator', thief)], first);
    const third = mergePolicies([layer('package', a, { ...b }), layer('administrator', thief)], second);
    const fourth = mergePolicies([layer('package', a, b)], third);
    expect(second.apps[0]?.match).toEqual([]);
    expect(third.apps[0]).toBe(second.apps[0]);
    expect(codes(third)).toEqual(['/p/a match-conflict']);
    expect(fourth.apps[0]).toBe(first.apps[0]);
  });

  it('mergePolicies says the same with and without a previous result', () => {
    const file = fc.record({
      layer: fc.constantFrom(...LAYERS),
      app: fc.constantFrom('a', 'b', 'c'),
      file: fc.constantFrom('/1', '/2', '/3'),
      paths: fc.uniqueArray(fc.constantFrom('/x', '/y', '/z'), { maxLength: 2 }),
      verbs: fc.array(fc.constantFrom<Verb>('allow', 'deny', 'drop'), { maxLength: 2 }),
    });
    const layers = fc.array(file, { maxLength: 8 }).map((files) =>
      LAYERS.map((name) =>
        layer(
          name,
          ...files
            .filter((written) => written.layer === name)
            .map(({ app, file, paths, verbs }) =>
              policy(`/${name}${file}`, app, {
                match: paths.map((path) => exec(`/${name}${file}`, path)),
                rules: verbs.map((verb, i) => rule(`/${name}${file}`, 3 + i, verb)),
              }),
            ),
        ),
      ),
    );
    fc.assert(
      fc.property(layers, layers, (before, after) => {
        const fresh = mergePolicies(after);
        const kept = mergePolicies(after, mergePolicies(before));
        expect(kept.apps).toEqual(fresh.apps);
        expect(kept.diagnostics).toEqual(fresh.diagnostics);
        const entries = fresh.apps.flatMap(({ match }) => match.map(matchKey));
        expect(new Set(entries).size).toBe(entries.length);
      }),
    );
  });
});

describe('mergeChanges', () => {
  const write = fc.record({
    layer: fc.constantFrom<Layer>('package', 'administrator', 'locks'),
    file: fc.constantFrom('/1', '/2', '/3'),
    app: fc.option(fc.constantFrom('a', 'b', 'c'), { nil: undefined, freq: 4 }),
    paths: fc.uniqueArray(fc.constantFrom('/x', '/y', '/z'), { maxLength: 2 }),
    verb: fc.constantFrom<Verb>('allow', 'deny', 'drop'),
  });

  it('mergeChanges says the same as merging all layers anew, and leaves only duplicates to that', () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.array(fc.array(write, { minLength: 1, maxLength: 3 }), { maxLength: 8 }), (steps) => {
        const files = new Map<string, { layer: Layer; policy: Policy }>();
        const all = () =>
          LAYERS.map((name) =>
            layer(name, ...[...files.values()].filter((f) => f.layer === name).map((f) => f.policy)),
          );
        let merged = mergePolicies([]);
        for (const step of steps) {
          const changes = new Map<string, SourceChange>();
          for (const { layer: name, file, app, paths, verb } of step) {
            const path = `/${name}${file}`;
            if (changes.has(path)) continue;
            const old = files.get(path);
            const before = old && { before: { layer: name, kind: 'policy', policy: old.policy } as const };
            files.delete(path);
            const match = paths.map((each) => exec(path, each));
            const now = app && policy(path, app, { match, rules: [rule(path, 3, verb)] });
            if (now) files.set(path, { layer: name, policy: now });
            changes.set(path, { ...before, ...(now && { after: { layer: name, kind: 'policy', policy: now } }) });
          }
          const fresh = mergePolicies(all());
          const changed = mergeChanges(merged, [...changes.values()]);
          if (changed !== undefined) taken += 1;
          else
            expect([...merged.diagnostics, ...fresh.diagnostics].map(({ code }) => code)).toContain('duplicate-entry');
          merged = changed ?? mergePolicies(all(), merged);
          expect(merged.apps).toEqual(fresh.apps);
          expect(merged.diagnostics).toEqual(fresh.diagnostics);
        }
      }),
      { numRuns: 300 },
    );
    expect(taken).toBeGreaterThan(300);
  });

  it('mergeChanges keeps the objects of all others, also of those that compete for an entry', () => {
    const [a, b] = [policy('/p/a', 'a', { match: [exec('/p/a', '/x')] }), policy('/p/b', 'b')];
    const first = mergePolicies([layer('package', a, b)]);
    const thief = policy('/p/b', 'b', { match: [exec('/p/b', '/x')] });
    const source = (of: Policy) => ({ layer: 'package', kind: 'policy', policy: of }) as const;
    const second = mergeChanges(first, [{ before: source(b), after: source(thief) }]);
    expect(second?.apps[0]).toBe(first.apps[0]);
    expect(second?.diagnostics.map(({ code }) => code)).toContain('match-conflict');
  });
});

describe('mergePolicies of answers', () => {
  it('mergePolicies never lets an answer allow: a generated answer adds only rules that refuse', () => {
    const verbs = fc.array(fc.constantFrom<Verb>('allow', 'deny', 'drop'), { maxLength: 6 });
    fc.assert(
      fc.property(verbs, (given) => {
        const answer = policy('/v/a', 'a', { rules: given.map((verb, i) => rule('/v/a', i + 1, verb)) });
        const [app] = mergePolicies([layer('answers', answer)]).apps;
        expect(app?.rules.map(({ do: verb }) => verb)).toEqual(given.filter((verb) => verb !== 'allow'));
      }),
    );
  });
});
