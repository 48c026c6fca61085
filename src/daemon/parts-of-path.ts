/** The parts of a path that decide to which file it leads: directories and links, also those to which links lead, and the file itself. */
import { dirname, join } from 'node:path';
import { linkTarget } from '../kernel/file-name.ts';
import { MAX_LINKS } from '../kernel/symbolic-links.ts';
import type { Place } from './script-directories.ts';

/** `path`: absolute. */
export function partsOfPath(path: string): readonly Place[] {
  const places: Place[] = [];
  let directory = '/';
  let links = 0;
  let rest = partsOf(path);
  for (let [name, ...others] = rest; name !== undefined; [name, ...others] = rest) {
    const target = links < MAX_LINKS ? linkTarget(join(directory, name)) : undefined;
    rest = target === undefined ? others : [...partsOf(target), ...others];
    if (name === '..') directory = dirname(directory);
    else places.push({ directory, name });
    if (target !== undefined) links += 1;
    if (target?.startsWith('/')) directory = '/';
    else if (target === undefined && name !== '..') directory = join(directory, name);
  }
  return places;
}

const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');
