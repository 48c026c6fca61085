/** Checks a document against a schema and says each mistake in the words of the language. */
import type { z } from 'zod';
import { keySpanOf, type Path, spanOf, type YamlDocument } from './document.ts';
import { keyHint } from './key-hint.ts';
import { type Mistake, quoted, type Report } from './report.ts';
import { CONTEXT_KEYS, type Context, LANGUAGE_VERSION } from './schema.ts';
import { didYouMean, suggest } from './suggestion.ts';
import { notYetEnforced, UNENFORCED_KEYS, UNENFORCED_VALUES } from './unenforced.ts';
import { valueHint } from './value-hint.ts';

type Issue = z.core.$ZodIssue;
export type FileKind = Extract<Context, 'policy' | 'uplink' | 'profile' | 'default' | 'packages'>;

/** The document's value without what the schema does not accept, so that the rest can be checked further. */
export function checkSchema<T>(
  schema: z.ZodType<T>,
  kind: FileKind,
  document: YamlDocument,
  report: Report,
): T | undefined {
  const result = schema.safeParse(document.value);
  // Schemas only look: the value itself is what they accepted.
  if (result.success) return document.value as T;
  const refused = new Set<string>();
  const issues = ofRightType(result.error.issues.flatMap((found) => flatten(found, document.value)));
  const meant = new Set(issues.flatMap((issue) => meantKeys(issue, kind)));
  for (const issue of issues) {
    // What is missing stands there under another name, and that is said already.
    if (!meant.has(pathKey(pathOf(issue)))) explain(issue, kind, document, report);
    if (issue.code !== 'unrecognized_keys') refused.add(pathKey(pathOf(issue)));
  }
  // T leaves every part open, because of this.
  return without(document.value, refused, []) as T | undefined;
}

/** Bounds are checked of what has the wrong type as well, and mean nothing there. */
function ofRightType(issues: readonly Issue[]): readonly Issue[] {
  const wrong = new Set(issues.filter(({ code }) => code === 'invalid_type').map((issue) => pathKey(pathOf(issue))));
  return issues.filter((issue) => issue.code === 'invalid_type' || !wrong.has(pathKey(pathOf(issue))));
}

/** Of a union only the branch that the value looks like is worth a word. */
function flatten(issue: Issue, root: unknown): readonly Issue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const isList = Array.isArray(valueAt(root, pathOf(issue)));
  const branch = issue.errors.find((found) => !found.some((inner) => isOfOtherType(inner, isList)));
  if (branch === undefined) {
    const expected = issue.errors
      .map(([first]) => (first?.code === 'invalid_type' ? first.expected : 'string'))
      .join('|');
    return [{ code: 'invalid_type', expected, path: issue.path, message: '' }];
  }
  return branch.flatMap((inner) => flatten({ ...inner, path: [...issue.path, ...inner.path] } as Issue, root));
}

/** The paths inside a union's branches start at the union. */
function isOfOtherType(issue: Issue, isList: boolean): boolean {
  if (issue.path.length > 0) return false;
  return issue.code === 'invalid_type' ? issue.expected !== 'int' : isList && issue.code === 'invalid_value';
}

function explain(issue: Issue, kind: FileKind, document: YamlDocument, report: Report): void {
  const path = pathOf(issue);
  const value = valueAt(document.value, path);
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) explainUnknownKey([...path, key], kind, document, report);
  } else if (path.length > 0 && value === undefined) {
    const message = `${quoted(String(path.at(-1)))} is missing`;
    const hint = path.at(-1) === 'pointsman' ? `the file begins with: pointsman: ${LANGUAGE_VERSION}` : undefined;
    report.error(spanOf(document, path), { code: 'missing-key', message, ...(hint !== undefined && { hint }) });
  } else if (issue.code === 'invalid_type') {
    report.error(spanOf(document, path), { code: 'wrong-type', ...wrongType(issue.expected, path, value) });
  } else if (issue.code === 'invalid_value') {
    report.error(spanOf(document, path), refusedValue(issue.values, path, value));
  } else {
    const hint = valueHint(path, value);
    report.error(spanOf(document, path), { code: 'invalid-value', message: invalidValue(issue, path), hint });
  }
}

/** Paths of keys that unknown ones were probably meant to be. */
function meantKeys(issue: Issue, kind: FileKind): string[] {
  if (issue.code !== 'unrecognized_keys') return [];
  const path = pathOf(issue);
  return issue.keys.flatMap((key) => {
    const isOther = keyHint(key, contextOf(path, kind)) !== undefined;
    const meant = isOther ? undefined : suggest(key, CONTEXT_KEYS[contextOf(path, kind)]);
    return meant === undefined ? [] : [pathKey([...path, meant])];
  });
}

function explainUnknownKey(path: Path, kind: FileKind, document: YamlDocument, report: Report): void {
  report.error(keySpanOf(document, path), unknownKey(String(path.at(-1)), contextOf(path.slice(0, -1), kind)));
}

function unknownKey(key: string, context: Context): Mistake {
  if (UNENFORCED_KEYS[context].includes(key)) return notYetEnforced(quoted(key));
  const known = CONTEXT_KEYS[context];
  const hint =
    keyHint(key, context) ??
    didYouMean(key, [...known, ...UNENFORCED_KEYS[context]]) ??
    `known here: ${known.join(', ')}`;
  return { code: 'unknown-key', message: `${quoted(key)} is not a key of this language`, hint };
}

function refusedValue(known: readonly unknown[], path: Path, value: unknown): Mistake {
  const key = keyOf(path);
  const text = typeof value === 'string' ? value : '';
  if (key === 'pointsman' && typeof value === 'number') {
    return { code: 'unsupported-version', message: `this version reads policy language ${LANGUAGE_VERSION} only` };
  }
  if (UNENFORCED_VALUES.get(key)?.includes(text)) return notYetEnforced(`"${key}: ${text}"`);
  const words = known.map(String);
  const message = `"${key}" must be ${words.length > 1 ? `one of ${words.join(', ')}` : words.join()}`;
  const code = typeof value === typeof known[0] ? 'invalid-value' : 'wrong-type';
  return {
    code,
    message: `${message}, not ${describe(value)}`,
    hint: valueHint(path, value) ?? didYouMean(text, words),
  };
}

/** YAML's words for what zod calls its types. */
const EXPECTED: ReadonlyMap<string, string> = new Map([
  ['string', 'text'],
  ['number', 'a number'],
  ['int', 'a whole number'],
  ['boolean', 'true or false'],
  ['array', 'a list'],
  ['object', 'a map of keys'],
]);

function wrongType(expected: string, path: Path, value: unknown): { message: string; hint?: string | undefined } {
  const what = path.length === 0 ? 'the file' : `"${keyOf(path)}"`;
  const words = expected.split('|').map((type) => EXPECTED.get(type) ?? type);
  const message = `${what} must be ${words.join(' or ')}, not ${describe(value)}`;
  const hint = valueHint(path, value) ?? shapeHint(expected, path, value);
  if (hint !== undefined) return { message, hint };
  if (expected.startsWith('string') && (typeof value === 'number' || typeof value === 'boolean')) {
    return { message, hint: `put it in quotes: "${value}"` };
  }
  if (expected === 'boolean' && typeof value === 'string')
    return { message, hint: BOOLEAN_HINTS.get(value.toLowerCase()) };
  return { message };
}

/** One where a list should stand, and a list where one should. */
function shapeHint(expected: string, path: Path, value: unknown): string | undefined {
  const key = keyOf(path);
  if (expected === 'array' && typeof value === 'string') return `a list, also of one: ${key}: [${quoted(value)}]`;
  if (expected === 'array' && isMap(value))
    return `a list, also of one: "- " stands before its first key, ${firstKey(value)}`;
  if (expected !== 'string' || !Array.isArray(value) || path[0] !== 'match') return undefined;
  const entries = value.map((one) => `{ ${key}: ${String(one)} }`);
  return `each is an entry of its own: match: [${entries.join(', ')}]`;
}

const isMap = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);

const firstKey = (value: object): string => quoted(Object.keys(value)[0] ?? '');

/** YAML 1.1 read these as booleans, and people still write them. */
const BOOLEAN_HINTS: ReadonlyMap<string, string> = new Map([
  ['yes', 'did you mean true?'],
  ['on', 'did you mean true?'],
  ['no', 'did you mean false?'],
  ['off', 'did you mean false?'],
]);

function describe(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'string':
      return value === '' ? 'empty text' : quoted(value);
    case 'number':
    case 'boolean':
      return String(value);
    case 'undefined':
      return 'nothing';
    default:
      return 'a map of keys';
  }
}

function invalidValue(issue: Issue, path: Path): string {
  const key = `"${keyOf(path)}"`;
  if (issue.code === 'too_big') {
    return `${key} is too ${issue.origin === 'string' ? 'long' : 'large'}: at most ${issue.maximum}${unit(issue.origin)}`;
  }
  if (issue.code !== 'too_small') return issue.message;
  if (issue.origin === 'array' || issue.origin === 'string') return `${key} must not be empty`;
  return `${key} is too small: at least ${issue.minimum}`;
}

function unit(origin: string): string {
  return origin === 'string' ? ' characters' : origin === 'array' ? ' entries' : '';
}

function contextOf(path: Path, kind: FileKind): Context {
  switch (keyOf(path)) {
    case '':
      return kind;
    case 'match':
    case 'rules':
    case 'via':
    case 'gateway':
    case 'needs':
    case 'when':
    case 'probe':
    case 'dns':
    case 'trust':
      return keyOf(path) as Context;
    default:
      return 'constraint';
  }
}

/** The innermost key, past the indexes of lists. */
function keyOf(path: Path): string {
  return String(path.findLast((step) => typeof step === 'string') ?? '');
}

function pathOf(issue: Issue): Path {
  return issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
}

function pathKey(path: Path): string {
  return path.join('\n');
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

function without(value: unknown, refused: ReadonlySet<string>, path: Path): unknown {
  if (refused.has(pathKey(path))) return undefined;
  if (Array.isArray(value)) return value.map((entry, index) => without(entry, refused, [...path, index]));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, without(inner, refused, [...path, key])]),
  );
}
