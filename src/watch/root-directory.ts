/** Paths below a directory that stands for the root, with symbolic links on the way followed there. */
import { dirname } from 'node:path';
import { fileLooks } from '../kernel/file-looks.ts';

export class RootDirectory {
  /** Without a slash at its end; empty: the root itself. */
  readonly path: string;

  constructor(path = '/') {
    this.path = path.replace(/\/+$/, '');
  }

  at(path: string): string {
    return `${this.path}${path}`;
  }

  /** Without links, as seen from below; `undefined` where nothing is, or where it does not say so in time. The root is the empty text. */
  realPath(path: string): string | undefined {
    const real = fileLooks().realPath(this.at(path))?.toString();
    const root = this.path === '' ? '' : fileLooks().realPath(this.path)?.toString();
    if (real === undefined || root === undefined) return undefined;
    const inside = real.slice(root.length);
    return inside === '/' ? '' : inside;
  }

  /**
   * From paths to paths without links in their directories (`/bin/x` -> `/usr/bin/x`), the last part as it is, there or not;
   * `undefined` where the directory is not there. Each directory is looked at once.
   */
  places(): (path: string) => string | undefined {
    const directories = new Map<string, string | undefined>();
    return (path) => {
      const directory = dirname(path);
      if (!directories.has(directory)) directories.set(directory, this.realPath(directory));
      const real = directories.get(directory);
      return real === undefined ? undefined : `${real}${path.slice(path.lastIndexOf('/'))}`;
    };
  }
}
