/** A policy from a file's fields: the meaning that a schema cannot check. */
import { parseDestination } from './destination.ts';
import { type Path, spanOf } from './document.ts';
import type { Children, Match, Otherwise, Policy, Rule, Verb, Word } from './model.ts';
import { locationOf } from './report.ts';
import type { PolicyFields, RuleFields } from './schema.ts';
import { type UnreachedDestination, unreachedDestinations } from './unreached-destinations.ts';
import { validateAccept } from './validate-accept.ts';
import { type DestinationList, validateDestinations } from './validate-destinations.ts';
import { validateMatch } from './validate-match.ts';
import { type Checking, listOf, validateVia } from './validate-via.ts';

/** What could be read, also of a file with mistakes. `policy` is there only if there are none. */
export interface ValidatedPolicy {
  readonly policy?: Policy;
  readonly app?: string;
  readonly match: readonly Match[];
  readonly children?: Children;
}

export function validatePolicy(fields: PolicyFields, checking: Checking): ValidatedPolicy {
  const { document, report } = checking;
  const { app, name } = fields;
  const match = validateMatch(fields.match ?? [], checking);
  const rules = (fields.rules ?? []).map((rule, index) => validateRule(rule ?? {}, ['rules', index], checking));
  const via = fields.via === undefined ? undefined : validateVia(fields.via, ['via'], checking);
  const accept = fields.accept === undefined ? undefined : validateAccept(fields.accept, ['accept'], checking);
  const identity = { match, ...(fields.children !== undefined && { children: childrenOf(fields.children, checking) }) };
  if (app === undefined) return identity;
  if (report.hasErrors()) return { app, ...identity };
  warnOfUnreachableRules(rules, checking);
  const { below, existing, needs: { duration } = {} } = fields;
  if (below !== undefined && fields.otherwise === undefined) {
    const message = '"below" says what stands before the "otherwise" of this file, and it has none';
    report.warning(spanOf(document, ['below']), { code: 'without-effect', message, hint: 'add "otherwise"' });
  }
  warnOfKernelReceiving(fields, match, checking);
  const policy: Policy = {
    app,
    ...(name === undefined ? {} : { name }),
    ...identity,
    rules,
    ...(fields.otherwise === undefined ? {} : { otherwise: statedVerb(fields.otherwise, ['otherwise'], checking) }),
    ...(below === undefined ? {} : { below: wordOf(below, ['below'], checking) }),
    ...(via === undefined ? {} : { via }),
    ...(accept === undefined ? {} : { accept }),
    ...(existing === undefined ? {} : { existing: wordOf(existing, ['existing'], checking) }),
    ...(duration === undefined ? {} : { duration: wordOf(duration, ['needs', 'duration'], checking) }),
    file: document.source.file,
    at: locationOf(document.source, spanOf(document, ['app'])),
  };
  return { policy, app, ...identity };
}

function warnOfKernelReceiving(fields: PolicyFields, match: readonly Match[], { document, report }: Checking): void {
  if (fields.accept === undefined || !match.some(({ kind }) => kind === 'kernel')) return;
  const message = 'what the kernel itself receives is as default.yaml says: "accept" here is about nobody';
  report.warning(spanOf(document, ['accept']), { code: 'without-effect', message, hint: 'write it in default.yaml' });
}

function childrenOf(are: Children['are'], { document }: Checking): Children {
  return { are, at: locationOf(document.source, spanOf(document, ['children'])) };
}

export function wordOf<T extends string>(word: T, path: Path, { document }: Checking): Word<T> {
  return { word, at: locationOf(document.source, spanOf(document, path)) };
}

export function statedVerb(verb: Verb, path: Path, { document }: Checking): Otherwise {
  return { do: verb, at: locationOf(document.source, spanOf(document, path)) };
}

const IN_RULE: DestinationList = {
  parse: parseDestination,
  duplicate: 'the same destination stands in this rule already',
};

/** A rule of a file with mistakes may come out incomplete; it then goes no further than this file. */
function validateRule(fields: RuleFields, path: Path, checking: Checking): Rule {
  const { document, report } = checking;
  const via = fields.via === undefined ? undefined : validateVia(fields.via, [...path, 'via'], checking);
  const verb = fields.do ?? 'deny';
  if (via !== undefined && fields.do !== undefined && verb !== 'allow') {
    const message = `"via" says which way out an allowed connection takes, but this rule says "${verb}"`;
    report.error(spanOf(document, [...path, 'via']), { code: 'via-without-allow', message });
  }
  return {
    to: validateDestinations(fields.to ?? [], [...path, 'to'], checking, IN_RULE),
    do: verb,
    ...(via === undefined ? {} : { via }),
    ...(fields.during === undefined ? {} : { during: listOf<string>(fields.during) }),
    at: locationOf(document.source, spanOf(document, path)),
  };
}

const HINT_UNREACHED = 'the first rule that fits decides: what is to be an exception stands before the rule';

/** Behind a rule for everything one warning is enough: it says which rule makes all that follow useless. */
function warnOfUnreachableRules(rules: readonly Rule[], checking: Checking): void {
  const { document, report } = checking;
  const all = unreachedDestinations(rules);
  let isSaid = false;
  for (const [index, rule] of rules.entries()) {
    const unreached = all.filter((one) => one.rule === index);
    const [first] = unreached;
    if (first === undefined || (isSaid && first.isByEverything)) continue;
    isSaid ||= first.isByEverything;
    if (unreached.length === rule.to.length) {
      const message = `no connection gets here: ${whoHasAll(unreached)}`;
      report.warning(spanOf(document, ['rules', index]), { code: 'unreachable-rule', message, hint: HINT_UNREACHED });
      continue;
    }
    for (const one of unreached) {
      const message = `no connection to this destination gets here: ${whoHasAll([one])}`;
      const path = ['rules', index, 'to', one.entry];
      report.warning(spanOf(document, path), { code: 'unreachable-rule', message, hint: HINT_UNREACHED });
    }
  }
}

function whoHasAll(unreached: readonly UnreachedDestination[]): string {
  const everything = unreached.find(({ isByEverything }) => isByEverything);
  if (everything !== undefined) return `the rule in line ${everything.by.at.line} is for everything`;
  const lines = unreached.map(({ by }) => by.at.line);
  const line = Math.max(...lines);
  return unreached.every(({ isAlone }) => isAlone) && lines.every((one) => one === line)
    ? `the rule in line ${line} has all of it`
    : `the rules down to line ${line} have all of it between them`;
}
