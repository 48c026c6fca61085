/**
 * Commands that are named to a person, as he has to type them: by the name that he calls the program by, and with the options that say which
 * files, daemon and network he means. Every line that a command writes goes through here, but for what is somebody else's text.
 */
import { labWords } from '../lab/lab-words.ts';
import { labOfRoot } from './lab-place.ts';

export interface Place {
  /** How he calls the program, without sudo: `./pointsman`. */
  readonly program: string;
  readonly commands: readonly string[];
  /** `--root` or the root of `--lab`; undefined where it is the machine itself. */
  readonly root?: string | undefined;
  /** `lab --id`; undefined where it is the usual one, or no command of a lab's. */
  readonly lab?: string | undefined;
}

/** A source line below a diagnostic, and the carets under it. */
const QUOTED_LINE = /^ *\d* \|/;
/** What follows a command that says already which files, daemon and network are meant. */
const SAYS_WHERE = /^ --(?:root|lab|id)\b/;

export function typedCommands(text: string, place: Place): string {
  return text
    .split('\n')
    .map((line) => (QUOTED_LINE.test(line) ? line : typedLine(line, place)))
    .join('\n');
}

function typedLine(line: string, { program, commands, root, lab }: Place): string {
  if (!line.includes('pointsman ')) return line;
  const others = commands.filter((name) => name !== 'lab');
  const where = whereWords(root, lab);
  const ofLab = root === undefined ? lab : labOfRoot(root);
  // Not in a path, nor in the name of something else.
  const call = '(?<![\\w/.-])pointsman ';
  // The lab's daemon is started by the lab, with its resolver and in the background.
  const up =
    ofLab === undefined
      ? line
      : line.replace(new RegExp(`${call}up(?! --|[\\w-])`, 'g'), `pointsman ${labWords(ofLab, 'up')}`);
  return up
    .replace(new RegExp(`${call}lab (?=[a-z])`, 'g'), `${program} lab ${lab === undefined ? '' : `--id ${lab} `}`)
    .replace(new RegExp(`${call}lab\\b`, 'g'), `${program} lab`)
    .replace(
      new RegExp(`${call}(${others.join('|')})( (?:open|closed|off)\\b)?(?![\\w-])(?=(.*))`, 'g'),
      (_all, name: string, which: string | undefined, rest: string) =>
        `${program} ${name}${which ?? ''}${SAYS_WHERE.test(rest) || NEEDS_NO_PLACE.includes(name) ? '' : where}`,
    );
}

const NEEDS_NO_PLACE: readonly string[] = ['help', 'completion'];

function whereWords(root: string | undefined, lab: string | undefined): string {
  if (root === undefined) return lab === undefined ? '' : ` --lab ${lab}`;
  const ofRoot = labOfRoot(root);
  return ofRoot === undefined ? ` --root ${quoted(root)}` : ` --lab ${ofRoot}`;
}

/** For a shell. */
const quoted = (word: string): string => (/^[\w./:@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
