import { printable } from '../net/printable.ts';

/** What is logged is one line, whatever names are in it: no name of a file, process or network writes lines of its own. */
export const journalLine = (text: string): string => printable(text.trim().replaceAll('\n', ' '));
