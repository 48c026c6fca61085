/** Plain data as text, for comparing: JSON, in which addresses are numbers of any size. Not for people, and not read back. */
export function plainText(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part)) ?? '';
}
