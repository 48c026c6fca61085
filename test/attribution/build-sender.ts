/** Makes programs of senders/: C by the compiler, scripts as they are. */
import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, statSync } from 'node:fs';
import { dirname, extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const FLAGS = ['-std=gnu11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-O1', '-pthread'];
const EXECUTABLE = 0o755;

export class SenderBuilder {
  /** By source and kind, the first that was built of it: others are copies, executables of their own all the same. */
  readonly #built = new Map<string, Promise<string>>();

  /** Throws with the compiler's words. */
  async build(source: string, path: string, isStatic = false): Promise<void> {
    mkdirSync(dirname(path), { recursive: true });
    const file = fileURLToPath(new URL(`senders/${source}`, import.meta.url));
    const key = `${source} ${isStatic}`;
    const first = this.#built.get(key);
    if (first !== undefined) {
      copyFileSync(await first, path);
    } else if (extname(source) === '.c') {
      const compiled = promisify(execFile)('gcc', [...FLAGS, ...(isStatic ? ['-static'] : []), '-o', path, file]);
      this.#built.set(
        key,
        compiled.then(() => path),
      );
      await compiled;
    } else {
      copyFileSync(file, path);
      this.#built.set(key, Promise.resolve(path));
    }
    if ((statSync(path).mode & EXECUTABLE) !== EXECUTABLE) chmodSync(path, EXECUTABLE);
  }
}
