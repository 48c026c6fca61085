/** For answers that name lines: of which of their files the last good version is meant. Pure. */
export function lastGoodAmong(
  cited: readonly (string | undefined)[],
  lastGood: readonly string[],
): { readonly lastGood?: readonly string[] } {
  const meant = lastGood.filter((file) => cited.includes(file));
  return meant.length === 0 ? {} : { lastGood: meant };
}
