/** Which network a process rules over, for people. */
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Where ip-netns(8) keeps namespaces by name. */
const NAMED_NAMESPACES = '/run/netns';

/** `namespace blue`, as `ip netns` calls it; `the machine's own network`; or the namespace's number. */
export function networkNamespaceName(directory: string = NAMED_NAMESPACES): string {
  const own = statSync('/proc/self/ns/net', { throwIfNoEntry: false });
  if (own === undefined) return 'a network namespace that /proc does not tell';
  const name = namesIn(directory).find((candidate) => {
    const stats = statSync(join(directory, candidate), { throwIfNoEntry: false });
    return stats?.dev === own.dev && stats.ino === own.ino;
  });
  if (name !== undefined) return `network namespace ${name}`;
  // Process 1 has its own, where it can be seen.
  return isSame('/proc/1/ns/net') ? "the machine's own network" : `network namespace ${own.ino}`;
}

function isSame(path: string): boolean {
  try {
    return readlinkSync(path) === readlinkSync('/proc/self/ns/net');
  } catch {
    return false;
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
