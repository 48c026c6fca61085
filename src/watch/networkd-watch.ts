/** Tells when systemd-networkd has written what it knows of a link: it does so after the kernel knows of it. */

import { type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import type { Background } from '../kernel/background.ts';
import { NETWORKD_DIRECTORY } from './network-domains.ts';

/** From the first change to the report: a lease and what follows from it come together. */
export const NETWORKD_WAIT_MS = 50;

export class NetworkdWatch implements Disposable {
  readonly #onChange: () => void;
  readonly #background: Background;
  readonly #directory: string;
  #watchers: readonly FSWatcher[] = [];
  #report: NodeJS.Timeout | undefined;
  #isDisposed = false;

  constructor(onChange: () => void, background: Background, directory: string = NETWORKD_DIRECTORY) {
    this.#background = background;
    this.#onChange = onChange;
    this.#directory = directory;
  }

  /** Where networkd does not run there is nothing to watch; it is looked for each time. */
  watch({ on }: { readonly on: boolean }): void {
    if (this.#isDisposed || on === this.#watchers.length > 0) return;
    if (on) this.#watchers = ['links', 'leases'].flatMap((kind) => this.#open(join(this.#directory, kind)) ?? []);
    else this.#close();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#close();
  }

  #open(directory: string): FSWatcher | undefined {
    try {
      const watcher = watch(
        directory,
        { persistent: false },
        this.#background.handler(() => this.#tell()),
      );
      watcher.on(
        'error',
        this.#background.handler(() => this.#close()),
      );
      return watcher;
    } catch {
      // No such directory, or no watches left: the next change of the network has the files read again.
      return undefined;
    }
  }

  #close(): void {
    clearTimeout(this.#report);
    this.#report = undefined;
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers = [];
  }

  #tell(): void {
    this.#report ??= this.#background
      .timeout(() => {
        this.#report = undefined;
        this.#onChange();
      }, NETWORKD_WAIT_MS)
      .unref();
  }
}
