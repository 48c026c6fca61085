/** Where a command writes. Results go to standard output, everything else to standard error. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Results that are others' words or made for programs: nothing in them is changed. */
  readonly data: (text: string) => void;
  /** A text that names commands, as the person has to type them; `out` and `err` write no other. */
  readonly typed: (text: string) => string;
  /** Whether escape sequences may be written there. */
  readonly outColour: boolean;
  readonly errColour: boolean;
}

interface Stream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Colour only on a terminal that has some, and never against NO_COLOR (no-color.org: set and not empty). */
export function openTerminal(
  stdout: Stream,
  stderr: Stream,
  env: Readonly<Record<string, string | undefined>>,
): Terminal {
  const wanted = (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
  return {
    out: (text) => {
      stdout.write(text);
    },
    err: (text) => {
      stderr.write(text);
    },
    data: (text) => {
      stdout.write(text);
    },
    typed: (text) => text,
    outColour: wanted && stdout.isTTY === true,
    errColour: wanted && stderr.isTTY === true,
  };
}

export function withoutColour(terminal: Terminal): Terminal {
  return { ...terminal, outColour: false, errColour: false };
}
