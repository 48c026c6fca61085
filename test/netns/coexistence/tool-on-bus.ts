/** A daemon of other people with a message bus and a directory of its own, which end with it. */
import { rmSync } from 'node:fs';
import type { Surroundings, ToolDaemon } from './tool-process.ts';

export abstract class ToolOnBus implements AsyncDisposable {
  protected readonly surroundings: Surroundings;
  readonly #dir: string;
  readonly #bus: ToolDaemon;
  readonly #daemon: ToolDaemon;

  protected constructor(dir: string, bus: ToolDaemon, daemon: ToolDaemon, surroundings: Surroundings) {
    this.#dir = dir;
    this.#bus = bus;
    this.#daemon = daemon;
    this.surroundings = surroundings;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon.stop();
    await this.#bus.stop();
    rmSync(this.#dir, { recursive: true });
  }
}
