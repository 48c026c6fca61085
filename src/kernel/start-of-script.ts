import { fileLooks } from './file-looks.ts';
import { isRegularFile } from './file-stat.ts';
import { SHEBANG_LIMIT_BYTES } from './shebang.ts';

/** What `parseShebang` reads, of a regular file: what is in a FIFO is for somebody else. Opens the file, in time or not at all. */
export function startOfScript(path: string): string | undefined {
  const stat = fileLooks().stat(path);
  return stat !== undefined && isRegularFile(stat) ? fileLooks().startOf(path, SHEBANG_LIMIT_BYTES) : undefined;
}
