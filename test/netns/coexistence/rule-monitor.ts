/** What the kernel tells of our routing rules: who adds and deletes how often. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { DEVICE, eventually, inDevice } from '../daemon/world.ts';

export class RuleMonitor implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => this.#lines.push(line));
  }

  /** Hears everything from now on. */
  static async start(): Promise<RuleMonitor> {
    const command = [`--net=/run/netns/${DEVICE}`, 'ip', 'monitor', 'rule'];
    const monitor = new RuleMonitor(spawn('nsenter', command, { stdio: ['ignore', 'pipe', 'inherit'] }));
    const probe = ['pref', '32000', 'lookup', '32000'];
    await eventually(
      () => {
        for (const verb of ['add', 'del']) inDevice('ip', 'rule', verb, ...probe);
        return monitor.#lines.some((line) => line.includes('32000'));
      },
      (heard) => heard,
    );
    return monitor;
  }

  get added(): readonly string[] {
    return this.#own.filter((line) => !line.startsWith('Deleted'));
  }

  get deleted(): readonly string[] {
    return this.#own.filter((line) => line.startsWith('Deleted'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGTERM');
    await ended;
  }

  get #own(): readonly string[] {
    return this.#lines.filter((line) => line.includes('proto 177'));
  }
}
