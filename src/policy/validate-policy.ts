/** A policy from a file's fields: the meaning that a schema cannot check. */

import { parseDestination } from './destination.ts';
import { type Path, spanOf, spanWithin } from './document.ts';
import type { Destination, Match, Otherwise, Policy, Rule, Verb } from './model.ts';
import { locationOf } from './report.ts';
import type { PolicyFields, RuleFields } from './schema.ts';
import { validateMatch } from './validate-match.ts';
import { type Checking, validateVia } from './validate-via.ts';

/** What could be read, also of a file with mistakes. `policy` is there only if there are none. */
export interface ValidatedPolicy {
  readonly policy?: Policy;
  readonly app?: string;
  readonly match: readonly Match[];
}

export function validatePolicy(fields: PolicyFields, checking: Checking): ValidatedPolicy {
  const { document, report } = checking;
  const { app, name } = fields;
  const match = validateMatch(fields.match ?? [], checking);
  const rules = (fields.rules ?? []).map((rule, index) => validateRule(rule ?? {}, ['rules', index], checking));
  warnOfUnreachableRules(rules, checking);
  const via = fields.via === undefined ? undefined : validateVia(fields.via, ['via'], checking);
  if (app === undefined) return { match };
  if (report.hasErrors()) return { app, match };
  const policy: Policy = {
    app,
    ...(name === undefined ? {} : { name }),
    match,
    rules,
    ...(fields.otherwise === undefined ? {} : { otherwise: statedVerb(fields.otherwise, ['otherwise'], checking) }),
    ...(via === undefined ? {} : { via }),
    file: document.source.file,
    at: locationOf(document.source, spanOf(document, ['app'])),
  };
  return { policy, app, match };
}

export function statedVerb(verb: Verb, path: Path, { document }: Checking): Otherwise {
  return { do: verb, at: locationOf(document.source, spanOf(document, path)) };
}

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
    to: validateDestinations(fields.to ?? [], [...path, 'to'], checking),
    do: verb,
    ...(via === undefined ? {} : { via }),
    at: locationOf(document.source, spanOf(document, path)),
  };
}

function validateDestinations(
  to: NonNullable<RuleFields['to']>,
  path: Path,
  checking: Checking,
): readonly Destination[] {
  const texts = typeof to === 'string' ? [to] : to;
  const seen = new Set<string>();
  const destinations: Destination[] = [];
  for (const [index, text] of texts.entries()) {
    if (text === undefined) continue;
    const entryPath = typeof to === 'string' ? path : [...path, index];
    const destination = validateDestination(text, entryPath, checking);
    if (destination !== undefined) destinations.push(destination);
    if (seen.has(text)) {
      const message = 'the same destination stands in this rule already';
      checking.report.warning(spanOf(checking.document, entryPath), { code: 'duplicate-entry', message });
    }
    seen.add(text);
  }
  return destinations;
}

function validateDestination(text: string, path: Path, { document, report }: Checking): Destination | undefined {
  const result = parseDestination(text);
  if (result.ok) return { text, ...result.value, at: locationOf(document.source, spanOf(document, path)) };
  const { part, ...mistake } = result.mistake;
  report.error(spanWithin(document, path, part), mistake);
  return undefined;
}

/** One warning is enough: it says which rule makes all that follow useless. */
function warnOfUnreachableRules(rules: readonly Rule[], { document, report }: Checking): void {
  const last = rules.findIndex((rule) => rule.to.some(isEverything));
  if (last === -1 || last === rules.length - 1) return;
  const message = `no connection gets here: the rule in line ${rules[last]?.at.line} is for everything`;
  report.warning(spanOf(document, ['rules', last + 1]), { code: 'unreachable-rule', message });
}

function isEverything({ target, ports, protocol }: Destination): boolean {
  return target.kind === 'any' && ports === undefined && protocol === undefined;
}
