/** Merging for one application. */
import type { Diagnostic } from './diagnostic.ts';
import type { EffectivePolicy, EffectiveRule, Stated, StatedWord } from './effective-policy.ts';
import { isAdministrators, layerStrength } from './layers.ts';
import type { Accept, Children, Layer, Match, Otherwise, Policy, Rule, Via, Word } from './model.ts';
import { type AppSource, diagnosticAt, matchKey } from './policy-source.ts';

/**
 * The effective policy of the application that all `sources` are about: one source a layer, strongest first, at least one.
 * Conflicts with other applications are not looked at.
 */
export function mergeApp(sources: readonly AppSource[]): {
  readonly policy: EffectivePolicy;
  readonly diagnostics: readonly Diagnostic[];
} {
  const [strongest] = sources;
  if (strongest === undefined) throw new RangeError('an application has at least one file');
  const diagnostics: Diagnostic[] = [];
  const policies = sources.flatMap((source) => {
    if (source.kind === 'broken') return [];
    return [
      {
        layer: source.layer,
        policy: source.layer === 'answers' ? narrowing(source.policy, diagnostics) : source.policy,
      },
    ];
  });
  const match = matchesOf(sources, diagnostics);
  const broken = sources.find((source) => source.kind === 'broken');
  if (match.length === 0 && broken === undefined) {
    const message = `no file says which programs are ${strongest.policy.app}: its rules hold for none`;
    diagnostics.push(diagnosticAt(strongest.policy.at, 'warning', 'no-match', message, 'add a `match` list'));
  }
  const name = policies.find(({ policy }) => policy.name !== undefined)?.policy.name;
  const otherwise = firstStated<Otherwise>(policies.map(({ layer, policy }) => ({ layer, value: policy.otherwise })));
  const via = firstStated<Via>(policies.map(({ layer, policy }) => ({ layer, value: policy.via })));
  const accept = firstStated<Accept>(policies.map(({ layer, policy }) => ({ layer, value: policy.accept })));
  const existing = firstStatedWord(policies.map(({ layer, policy }) => ({ layer, value: policy.existing })));
  const duration = firstStatedWord(policies.map(({ layer, policy }) => ({ layer, value: policy.duration })));
  // Also of a broken file: what its application starts is refused with it.
  const children = firstStated<Children>(
    sources.filter(({ layer }) => layer !== 'answers').map(({ layer, policy }) => ({ layer, value: policy.children })),
  );
  const policy: EffectivePolicy = {
    app: strongest.policy.app,
    ...(name === undefined ? {} : { name }),
    match,
    rules: rulesInOrder(policies, via, diagnostics),
    ...(otherwise === undefined ? {} : { otherwise }),
    ...(via === undefined ? {} : { via }),
    ...(accept === undefined ? {} : { accept }),
    ...(children === undefined ? {} : { children }),
    ...(existing === undefined ? {} : { existing }),
    ...(duration === undefined ? {} : { duration }),
    ...(broken?.kind === 'broken' ? { blocked: { because: broken.policy.because } } : {}),
    files: sources.map((source) => ({ file: source.policy.file, layer: source.layer })),
  };
  return { policy, diagnostics };
}

interface LayerPolicy {
  readonly layer: Layer;
  readonly policy: Policy;
}

/**
 * Strongest layer first. Behind an `otherwise` of the administrator's nothing that a weaker layer allows is reached, so that no
 * package opens what he closed; what it denies or drops stays. Says which rules are cut off.
 */
function rulesInOrder(
  policies: readonly LayerPolicy[],
  via: Stated<Via> | undefined,
  diagnostics: Diagnostic[],
): EffectiveRule[] {
  const rules: EffectiveRule[] = [];
  let cutBy: Otherwise | undefined;
  for (const { layer, policy } of policies) {
    for (const rule of policy.rules) {
      if (cutBy === undefined || rule.do !== 'allow') rules.push(effectiveRule(rule, layer, via));
      else diagnostics.push(cutOff(rule, cutBy));
    }
    if (policy.otherwise !== undefined && isAdministrators(layer) && policy.below?.word !== 'keep')
      cutBy ??= policy.otherwise;
  }
  return rules;
}

function cutOff({ at }: Rule, { at: by }: Otherwise): Diagnostic {
  const message = `this rule allows nothing: the \`otherwise\` in ${by.file}:${by.line}:${by.column} stands before it`;
  const hint = `where the rule is wanted, copy it to ${by.file}, or state \`below: keep\` there for all rules of weaker layers`;
  return diagnosticAt(at, 'warning', 'cut-off-rule', message, hint);
}

/**
 * A `via` for the whole application from a stronger layer also replaces the `via` of single rules below it: otherwise a
 * package could send by any way what the administrator wants to leave by one.
 */
function effectiveRule(rule: Rule, layer: Layer, via: Stated<Via> | undefined): EffectiveRule {
  if (via === undefined || layerStrength(via.layer) <= layerStrength(layer)) return { ...rule, layer };
  const { via: _, ...rest } = rule;
  return { ...rest, layer };
}

function firstStated<T>(
  values: readonly { readonly layer: Layer; readonly value: T | undefined }[],
): Stated<T> | undefined {
  for (const { layer, value } of values) if (value !== undefined) return { value, layer };
  return undefined;
}

function firstStatedWord<T extends string>(
  values: readonly { readonly layer: Layer; readonly value: Word<T> | undefined }[],
): StatedWord<T> | undefined {
  const stated = firstStated<Word<T>>(values);
  return stated && { value: stated.value.word, layer: stated.layer, at: stated.value.at };
}

/** Every entry once, the strongest layer's first. */
function matchesOf(sources: readonly AppSource[], diagnostics: Diagnostic[]): Match[] {
  const byKey = new Map<string, Match>();
  for (const { layer, policy } of sources) {
    const [first] = policy.match;
    if (layer === 'answers') {
      if (first !== undefined) diagnostics.push(notTaken(first.at, 'a `match` entry'));
      continue;
    }
    for (const match of policy.match) {
      const key = matchKey(match);
      if (!byKey.has(key)) byKey.set(key, isAdministrators(layer) ? match : shipped(match));
    }
  }
  return [...byKey.values()];
}

/** Of programs alone: only those are taken out of what started them. */
function shipped(match: Match): Match {
  const namesPrograms = match.kind === 'exec' || match.kind === 'script' || match.kind === 'package';
  return namesPrograms ? { ...match, shipped: true } : match;
}

/** What of an answer holds while no layer can say `ask`: only what takes permissions away. */
function narrowing(answer: Policy, diagnostics: Diagnostic[]): Policy {
  for (const rule of answer.rules) if (rule.do === 'allow') diagnostics.push(notTaken(rule.at, 'a rule that allows'));
  const { via, otherwise, accept, children, existing, duration } = answer;
  if (children !== undefined) diagnostics.push(notTaken(children.at, '`children`'));
  if (accept !== undefined && accept.from.length > 0) diagnostics.push(notTaken(accept.at, '`accept` with entries'));
  if (via !== undefined) diagnostics.push(notTaken(via.at, '`via`'));
  if (existing !== undefined) diagnostics.push(notTaken(existing.at, '`existing`'));
  if (duration !== undefined) diagnostics.push(notTaken(duration.at, '`needs`'));
  if (otherwise?.do === 'allow') diagnostics.push(notTaken(otherwise.at, '`otherwise: allow`'));
  return {
    app: answer.app,
    match: [],
    rules: answer.rules.filter((rule) => rule.do !== 'allow'),
    ...(otherwise === undefined || otherwise.do === 'allow' ? {} : { otherwise }),
    ...(accept === undefined || accept.from.length > 0 ? {} : { accept }),
    file: answer.file,
    at: answer.at,
  };
}

function notTaken(at: Rule['at'], what: string): Diagnostic {
  return diagnosticAt(at, 'warning', 'not-yet-enforced', `${what} in an answer is ignored: answers only narrow`);
}
