/** What a test file with the real daemon needs: the program as it stands here, the network, the server beyond, and files to live by. */
import type { ChildProcess } from 'node:child_process';
import { buildProgram } from '../support/build-program.ts';
import { buildNetwork, DaemonProcess, Root, removeNetwork, startServer } from './world.ts';

export class Machine implements AsyncDisposable {
  readonly root: Root = new Root();
  #server: ChildProcess | undefined;
  #daemon: DaemonProcess | undefined;

  static async build(): Promise<Machine> {
    await buildProgram();
    const machine = new Machine();
    try {
      buildNetwork();
      machine.#server = await startServer();
      return machine;
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The only one, or the next one when the one before has ended. */
  async startDaemon(args: readonly string[] = []): Promise<DaemonProcess> {
    this.#daemon = await DaemonProcess.start(this.root, args);
    return this.#daemon;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.signal('SIGKILL');
    this.#server?.kill('SIGKILL');
    removeNetwork();
    this.root.remove();
  }
}
