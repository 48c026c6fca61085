/** Said where lines are not those that stand in a file now. */
import { printable } from '../net/printable.ts';

export const lastGoodNotes = ({ lastGood = [] }: { readonly lastGood?: readonly string[] }): readonly string[] =>
  lastGood.map(
    (file) =>
      `note: ${printable(file)} has a mistake: its last good version is in force, and lines are those of that version; see: pointsman check`,
  );
