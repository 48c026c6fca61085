import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Files of their own: links to one would be one executable. */
export async function writeExecutables(dir: string, count: number): Promise<string[]> {
  await mkdir(join(dir, 'bin'));
  const paths = Array.from({ length: count }, (_, i) => join(dir, 'bin', `program${i}`));
  for (const path of paths) await writeFile(path, '\u007fELF', { mode: 0o755 });
  return paths;
}
