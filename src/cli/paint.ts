/** ECMA-48 SGR parameters. */
export const STYLE = {
  bold: '1',
  dim: '2',
  red: '31',
  green: '32',
  yellow: '33',
  cyan: '36',
  alarm: '1;31',
} as const;

export type Style = keyof typeof STYLE;

/** Draws text in a style, or leaves it as it is where there is no colour. */
export type Paint = (text: string, style: Style) => string;

export function painter(colour: boolean): Paint {
  return (text, style) => (colour && text !== '' ? `\u001b[${STYLE[style]}m${text}\u001b[0m` : text);
}

/** Nothing that a file or a program is called reaches the terminal as a control sequence or turns the text around. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');
}
