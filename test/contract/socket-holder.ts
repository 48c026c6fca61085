/** Drives hold-socket.py: a program that has one socket and waits for what comes, in the network namespace of this thread. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { OutgoingFlow } from '../../src/kernel/kernel.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../../src/net/protocol.ts';
import type { ProgramSocket, ProgramSocketKind } from './contract-world.ts';
import { address } from './routing-contract.ts';

const SCRIPT = fileURLToPath(new URL('./hold-socket.py', import.meta.url));

export class SocketHolder implements ProgramSocket {
  readonly flow: OutgoingFlow;
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  private constructor(flow: OutgoingFlow, child: ChildProcess, answers: AsyncIterator<string>) {
    this.flow = flow;
    this.#child = child;
    this.#answers = answers;
  }

  static async start(kind: ProgramSocketKind): Promise<SocketHolder> {
    const child = spawn('/usr/bin/python3', [SCRIPT, kind], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child, 'spawn');
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const [sourcePort, destinationPort] = (await line(answers)).split(' ').map(Number);
    const own = address(kind.endsWith('6') ? '::1' : '127.0.0.1');
    const protocol = kind.includes('tcp') ? IPPROTO_TCP : IPPROTO_UDP;
    const ports = { sourcePort: sourcePort ?? 0, destinationPort: destinationPort ?? 0 };
    return new SocketHolder({ protocol, source: own, destination: own, ...ports }, child, answers);
  }

  async isAborted(): Promise<boolean> {
    this.#child.stdin?.write('\n');
    return (await line(this.#answers)) === 'ECONNABORTED';
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}

async function line(answers: AsyncIterator<string>): Promise<string> {
  const { value, done } = await answers.next();
  if (done) throw new Error('the program with the socket has ended');
  return value;
}
