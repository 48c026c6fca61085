/** "Did you mean": the nearest known word to one that is not known. */

/** No word of the language is longer, and the distance costs the product of both lengths. */
const MAX_WORD_LENGTH = 64;

/** Words of other firewalls and file formats for ours. */
const SYNONYMS: ReadonlyMap<string, readonly string[]> = new Map([
  ['accept', ['allow']],
  ['permit', ['allow']],
  ['pass', ['allow']],
  ['reject', ['deny']],
  ['refuse', ['deny']],
  ['disallow', ['deny']],
  ['block', ['deny']],
  ['action', ['do']],
  ['verdict', ['do']],
  ['destination', ['to']],
  ['host', ['to']],
  ['default', ['otherwise']],
  ['application', ['app']],
  ['id', ['app']],
  ['executable', ['exec']],
  ['path', ['exec', 'cgroup']],
  ['binary', ['exec']],
  ['program', ['exec', 'app']],
  ['process', ['exec']],
  ['command', ['exec']],
  ['cmd', ['exec']],
  ['comm', ['exec']],
  ['name', ['exec']],
  ['app', ['exec']],
  ['when', ['during']],
  ['profile', ['during']],
  ['policy', ['otherwise']],
  ['route', ['via']],
  ['uplink', ['via']],
  ['out', ['rules']],
  ['outbound', ['rules']],
  ['in', ['accept']],
  ['service', ['unit']],
  ['uid', ['user']],
  ['gid', ['group']],
  ['docker', ['container']],
  ['podman', ['container']],
  ['machine', ['container']],
  ['deb', ['package']],
  ['rpm', ['package']],
  ['inbound', ['accept']],
  ['incoming', ['accept']],
  ['listen', ['accept']],
  ['descendants', ['children']],
  ['child', ['children']],
  ['subprocesses', ['children']],
  ['inherit', ['children']],
  ['interface', ['device', 'via']],
  ['dev', ['device']],
  ['version', ['pointsman']],
  ['wlan', ['wifi']],
  ['mobile', ['cellular']],
  ['lte', ['cellular']],
  ['forbid', ['prohibit']],
  ['localhost', ['loopback']],
  ['local', ['lan']],
]);

/** Near in letters to a word that means the contrary. */
const OPPOSITES: ReadonlySet<string> = new Set(['wan']);

/** The one of `known` that was most likely meant by `word`; nothing where none is near. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  if (word.length > MAX_WORD_LENGTH) return undefined;
  const lower = word.toLowerCase();
  if (OPPOSITES.has(lower)) return undefined;
  const synonym = SYNONYMS.get(lower)?.find((meant) => known.includes(meant));
  if (synonym !== undefined) return synonym;
  const furthest = Math.max(1, Math.floor(word.length / 3));
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    if (isNegated(lower, candidate.toLowerCase())) continue;
    const distance = editDistance(lower, candidate.toLowerCase());
    if (distance <= furthest && distance < (best?.distance ?? Number.POSITIVE_INFINITY)) best = { candidate, distance };
  }
  return best !== undefined && best.distance < best.candidate.length ? best.candidate : undefined;
}

/** `unmetered` is the contrary of `metered`, and no slip of the fingers. */
const isNegated = (word: string, known: string): boolean =>
  word.endsWith(known) && /^(?:un|non|not|no|dis|dont)[-_]?$/.test(word.slice(0, -known.length));

/** `did you mean "x"?`, ready to be a diagnostic's hint. */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const meant = suggest(word, known);
  return meant === undefined ? undefined : `did you mean "${meant}"?`;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (beforeLast[j - 2] ?? cost) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
