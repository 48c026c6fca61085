/**
 * YAML 1.2 text as plain data with positions: the first stage of a file's way to a policy.
 * Only what a policy needs of YAML is read: one document of maps, lists and scalars. Anchors, aliases, tags, merge keys and
 * directives are refused, so nothing in a file can expand; depth and size are bounded before anything recurses.
 */
import {
  Composer,
  type Document,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  type ParsedNode,
  Parser,
  type YAMLParseError,
} from 'yaml';
import { indentationHint } from './indentation-hint.ts';
import { type Mistake, quoted, type Report } from './report.ts';
import { hiddenCharacter, type SourceText, type Span } from './source-text.ts';

/** Nested YAML collections. The language itself needs 7. */
export const MAX_DEPTH = 20;
/** Lexical tokens; a file of 1,000 rules with 30 destinations each stays below. */
export const MAX_TOKENS = 200_000;
/** Tokens that cannot stand where they stand: more are not someone's typing mistakes. */
const MAX_REFUSED_TOKENS = 200;
/** Entries of any list: rules, `match`, and `to` of one rule. */
export const MAX_LIST_ENTRIES = 1000;
/** No map of the language has half as many. */
export const MAX_MAP_KEYS = 64;

export type Path = readonly (string | number)[];

export interface YamlDocument {
  readonly source: SourceText;
  /** Plain maps, lists and scalars. `undefined` where the text holds no document, or one that cannot be read. */
  readonly value: unknown;
  /** The text holds nothing but white space and comments. */
  readonly empty: boolean;
  readonly root: ParsedNode | null;
}

export function parseDocument(source: SourceText, report: Report): YamlDocument {
  const { documents, complete } = compose(source, report);
  const first = documents[0];
  const second = documents[1];
  if (second !== undefined) {
    const at = second.range?.[0] ?? 0;
    const message = 'a file holds one document: `---` may not start another one';
    report.error({ from: at, to: at + 3 }, { code: 'several-documents', message });
  }
  reportSyntax(first?.errors ?? [], source.text, report);
  const root = first?.contents ?? null;
  const value = root === null ? undefined : plainValue(root, source, report);
  return { source, value, root, empty: complete && documents.length === 0 };
}

/** Where the value at `path` stands; where it is not there, the nearest thing around it. */
export function spanOf(document: YamlDocument, path: Path): Span {
  return nodeSpan(document, nodeAt(document.root, path));
}

/** Where the key that `path` ends in stands. */
export function keySpanOf(document: YamlDocument, path: Path): Span {
  const parent = nodeAt(document.root, path.slice(0, -1));
  const key = path.at(-1);
  const pair = isMap<ParsedNode>(parent) ? parent.items.find((item) => keyText(item.key) === key) : undefined;
  return nodeSpan(document, pair?.key ?? parent);
}

/** A part of the text at `path`, in characters of its value; all of it where the file writes it with escapes. */
export function spanWithin(document: YamlDocument, path: Path, part: Span): Span {
  const whole = spanOf(document, path);
  const node = nodeAt(document.root, path);
  if (!isScalar(node) || typeof node.value !== 'string') return whole;
  const { text } = document.source;
  const from = whole.from + (text[whole.from] === '"' || text[whole.from] === "'" ? 1 : 0);
  if (!text.startsWith(node.value, from)) return whole;
  return { from: from + part.from, to: from + Math.max(part.to, part.from + 1) };
}

/** One mistake often breaks several rules of YAML: of those in one place the first is enough. */
function reportSyntax(errors: readonly YAMLParseError[], text: string, report: Report): void {
  let last = -1;
  for (const { pos, code, message } of errors) {
    if (REPORTED_FROM_TOKENS.has(code) || pos[0] === last) continue;
    last = pos[0];
    const said = code === 'NON_STRING_KEY' ? 'A key must be text' : message;
    const hint = indentationHint(text, pos[0]);
    report.error({ from: pos[0], to: pos[1] }, { code: 'yaml-syntax', message: `YAML: ${said}`, hint });
  }
}

/** The YAML package says these too, but later and in fewer words. */
const REPORTED_FROM_TOKENS: ReadonlySet<string> = new Set([
  'BAD_ALIAS',
  'TAG_RESOLVE_FAILED',
  'MULTIPLE_TAGS',
  'MULTIPLE_ANCHORS',
]);

/** Control characters by which the lexer of the YAML package announces a scalar. */
const SCALAR_FOLLOWS = '\u001f';

interface Composed {
  readonly documents: readonly Document.Parsed[];
  /** False where reading stopped at a bound. */
  readonly complete: boolean;
}

function compose(source: SourceText, report: Report): Composed {
  const parser = new Parser();
  const composer = new Composer({
    version: '1.2',
    strict: true,
    uniqueKeys: false,
    stringKeys: true,
    logLevel: 'silent',
  });
  const documents: Document.Parsed[] = [];
  let tokens = 0;
  let refused = 0;
  let previous = '';
  for (const lexeme of new Lexer().lex(source.text)) {
    tokens += 1;
    const span = { from: parser.offset, to: parser.offset + lexeme.length };
    const unused = previous === SCALAR_FOLLOWS ? undefined : unusedYaml(lexeme);
    previous = lexeme;
    if (unused !== undefined) report.error(span, unused);
    for (const token of parser.next(lexeme)) {
      if (token.type === 'error') refused += 1;
      documents.push(...composer.next(token));
    }
    if (unused !== undefined) refused += 1;
    const excess = bounds(tokens, parser.stack.length, refused);
    if (excess !== undefined) report.error(span, excess);
    if (excess !== undefined || documents.length > 1) return { documents, complete: false };
  }
  for (const token of parser.end()) documents.push(...composer.next(token));
  documents.push(...composer.end());
  return { documents, complete: true };
}

function bounds(tokens: number, depth: number, refused: number): Mistake | undefined {
  if (tokens > MAX_TOKENS) return { code: 'too-long', message: `the file has more than ${MAX_TOKENS} YAML tokens` };
  if (depth > MAX_DEPTH) return { code: 'too-deep', message: `lists and maps are nested more than ${MAX_DEPTH} deep` };
  if (refused > MAX_REFUSED_TOKENS)
    return { code: 'too-many-mistakes', message: 'this is not YAML: reading stops here' };
  return undefined;
}

function unusedYaml(lexeme: string): Mistake | undefined {
  switch (lexeme[0]) {
    case '*': {
      const hint = `text that starts with * stands in quotes: ${quoted(lexeme)}`;
      return { code: 'yaml-alias', message: 'YAML aliases are not used in policy files', hint };
    }
    case '&':
      return { code: 'yaml-anchor', message: 'YAML anchors are not used in policy files' };
    case '!': {
      const hint = `text that starts with ! stands in quotes: ${quoted(lexeme)}`;
      return { code: 'yaml-tag', message: 'YAML tags are not used in policy files', hint };
    }
    case '%':
      return { code: 'yaml-directive', message: 'YAML directives are not used: policy files are always YAML 1.2' };
    default:
      return undefined;
  }
}

/** Recursion is bounded by MAX_DEPTH. */
function plainValue(node: ParsedNode, source: SourceText, report: Report): unknown {
  if (isScalar(node)) return scalarValue(node, source, report);
  if (isSeq<ParsedNode>(node)) {
    refuseExcess(node.items.length, MAX_LIST_ENTRIES, 'entries', nodeRange(node), report);
    return node.items.slice(0, MAX_LIST_ENTRIES).map((item) => plainValue(item, source, report));
  }
  // Refused already; its text keeps later checks from a second complaint.
  if (!isMap<ParsedNode, ParsedNode | null>(node)) return source.text.slice(node.range[0], node.range[1]);
  refuseExcess(node.items.length, MAX_MAP_KEYS, 'keys', nodeRange(node), report);
  const value: Record<string, unknown> = {};
  for (const pair of node.items.slice(0, MAX_MAP_KEYS)) {
    const key = keyText(pair.key);
    if (key === undefined) continue;
    if (refuseKey(key, Object.hasOwn(value, key), nodeRange(pair.key), report)) continue;
    value[key] = pair.value === null ? null : plainValue(pair.value, source, report);
  }
  return value;
}

function refuseKey(key: string, isSecond: boolean, span: Span, report: Report): boolean {
  if (isSecond) {
    report.error(span, { code: 'duplicate-key', message: `${quoted(key)} stands here a second time` });
  } else if (key === '<<') {
    report.error(span, { code: 'yaml-merge-key', message: 'YAML merge keys are not used in policy files' });
  } else if (key === '__proto__') {
    report.error(span, { code: 'unknown-key', message: `${quoted(key)} is not a key of this language` });
  } else {
    return false;
  }
  return true;
}

function refuseExcess(count: number, most: number, what: string, span: Span, report: Report): void {
  if (count > most) report.error(span, { code: 'too-long', message: `${count} ${what}, at most ${most} are allowed` });
}

function scalarValue(node: ParsedNode & { value: unknown }, source: SourceText, report: Report): unknown {
  const { value } = node;
  const isWrittenWithEscapes = typeof value === 'string' && source.text[node.range[0]] === '"';
  const hidden = isWrittenWithEscapes ? hiddenCharacter(value) : undefined;
  if (hidden !== undefined) {
    const message = `${hidden} is a control character and may not stand in a value`;
    report.error(nodeRange(node), { code: 'control-character', message });
  }
  return value;
}

function nodeAt(root: ParsedNode | null, path: Path): ParsedNode | null {
  let node = root;
  for (const step of path) {
    let next: ParsedNode | null | undefined;
    if (isSeq<ParsedNode>(node) && typeof step === 'number') next = node.items[step];
    else if (isMap<ParsedNode, ParsedNode | null>(node))
      next = node.items.find((pair) => keyText(pair.key) === step)?.value;
    if (next === null || next === undefined) return node;
    node = next;
  }
  return node;
}

function keyText(key: unknown): string | undefined {
  return isScalar(key) && typeof key.value === 'string' ? key.value : undefined;
}

function nodeRange(node: ParsedNode): Span {
  return { from: node.range[0], to: node.range[1] };
}

function nodeSpan(document: YamlDocument, node: ParsedNode | null | undefined): Span {
  if (node === null || node === undefined) return { from: 0, to: 0 };
  const { from, to } = nodeRange(node);
  if (isScalar(node)) return { from, to };
  // A list or map may span pages: its first line tells where it is.
  const lineEnd = document.source.text.indexOf('\n', from);
  return { from, to: lineEnd === -1 ? to : Math.min(to, lineEnd) };
}
