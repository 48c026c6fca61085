/**
 * Texts from outside (names of devices, networks, files, processes) on their way to a terminal or a journal. U+FFFD stands for what
 * would act there instead of being read: control characters of both sets (ECMA-48), ends of lines, and what turns text around.
 */
const ACTS = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;
const ACTS_BUT_TAB = /[^\P{Cc}\t]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;
/** Those of them that JSON lets stand in a string as they are. */
const RAW_IN_JSON = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Keeps the length. */
export const printable = (text: string): string => text.replace(ACTS, '\ufffd');

/** A line of a file, whose tabs make its columns. Keeps the length. */
export const printableSource = (text: string): string => text.replace(ACTS_BUT_TAB, '\ufffd');

/** Lines stay lines. */
export const printableLines = (text: string): string => text.split('\n').map(printable).join('\n');

/** JSON of the same value, in which nothing acts on a terminal. */
export const printableJson = (json: string): string =>
  json.replace(RAW_IN_JSON, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
