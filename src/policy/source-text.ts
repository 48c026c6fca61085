/** The text of one file, and where in it an offset is. */
import { decodeUtf8 } from './utf8.ts';

export interface SourceText {
  readonly file: string;
  readonly text: string;
  /** Offset of the first character of each line. */
  readonly lineStarts: readonly number[];
}

/** A stretch of the text, in UTF-16 code units; `to` is the first one after it. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface SourceFlaw extends Span {
  readonly code: 'file-too-large' | 'bad-encoding' | 'control-character';
  readonly message: string;
  readonly hint?: string;
}

/** Policies are written by hand: more than this is not one. */
export const MAX_FILE_BYTES = 1_048_576;
/** Of unreadable text the first few places are enough. */
const MAX_CONTROL_FLAWS = 20;

/**
 * Characters that no file and no quoted value may hold: C0 and C1 controls, line separators, a U+FEFF within the text, lone
 * surrogates, and the marks that make a terminal show text in another order than the program reads it.
 */
const HIDDEN_CHARACTER = /[^\P{Cc}\t\n]|[\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/u;
/** The same in a file's text, where a line may end in CR LF. */
const HIDDEN_IN_TEXT = new RegExp(`(?!\\r\\n)(?:${HIDDEN_CHARACTER.source})`, 'gu');

/** Reads bytes as text. What is flawed is replaced, so that the rest of the file can still be judged. */
export function readSource(file: string, bytes: Uint8Array): { source: SourceText; flaws: readonly SourceFlaw[] } {
  const flaws: SourceFlaw[] = [];
  const tooLarge = bytes.length > MAX_FILE_BYTES;
  const decoded = decodeUtf8(tooLarge ? bytes.subarray(0, MAX_FILE_BYTES) : bytes);
  if (tooLarge) {
    const message = `the file has ${bytes.length} bytes, at most ${MAX_FILE_BYTES} are read`;
    const hint = 'a file is about one application: networks say in one entry what thousands of addresses say';
    return {
      source: sourceText(file, decoded.text),
      flaws: [{ code: 'file-too-large', message, hint, from: 0, to: 0 }],
    };
  }
  if (decoded.invalid !== undefined) {
    const { offset, byte } = decoded.invalid;
    const message = `byte 0x${byte.toString(16).padStart(2, '0')} is not UTF-8 text`;
    flaws.push({ code: 'bad-encoding', message, from: offset, to: offset + 1 });
  }
  const text = withoutHidden(decoded.text, flaws);
  return { source: sourceText(file, text), flaws };
}

export function sourceText(file: string, text: string): SourceText {
  const lineStarts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1);
  return { file, text, lineStarts };
}

/** Line and column of an offset, both from 1. */
export function positionAt(source: SourceText, offset: number): { readonly line: number; readonly column: number } {
  let low = 0;
  let high = source.lineStarts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((source.lineStarts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - (source.lineStarts[low] ?? 0) + 1 };
}

/** The line's text without its end. Lines count from 1. */
export function lineAt(source: SourceText, line: number): string {
  const from = source.lineStarts[line - 1] ?? source.text.length;
  const to = source.lineStarts[line] ?? source.text.length + 1;
  return source.text.slice(from, to - 1).replace(/\r$/, '');
}

/** The first character of a value that may not stand in one, as `U+202E`. */
export function hiddenCharacter(value: string): string | undefined {
  const found = HIDDEN_CHARACTER.exec(value);
  return found === null ? undefined : codePointName(found[0]);
}

function withoutHidden(text: string, flaws: SourceFlaw[]): string {
  if (text.search(HIDDEN_IN_TEXT) === -1) return text;
  let count = 0;
  return text.replace(HIDDEN_IN_TEXT, (found, from: number) => {
    count += 1;
    if (count <= MAX_CONTROL_FLAWS) {
      const message = `${codePointName(found)} is a control character and may not stand in a file`;
      flaws.push({ code: 'control-character', message, from, to: from + 1 });
    }
    return '\ufffd';
  });
}

function codePointName(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}
