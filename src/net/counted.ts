/** `1 file`, `3 files`: a number and what it counts, for people. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
