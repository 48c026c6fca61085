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
