/** Drives talk.py: a program on the device or on another host that connects and listens when it is told to. */
import { fileURLToPath } from 'node:url';
import { AnsweringProgram } from './answering-program.ts';

/** Those of another user need a copy of it. */
export const TALK_SCRIPT: string = fileURLToPath(new URL('./talk.py', import.meta.url));

export interface TalkAnswer {
  readonly ok: boolean;
  /** The errno's name, or `TimeoutError`. */
  readonly error?: string;
  /** getsockname(2) after connect(2). */
  readonly own?: string;
  readonly id?: number;
  readonly answers?: number;
}

export class Talker extends AnsweringProgram<TalkAnswer> {
  /** `enter`: the command line that leads from a command to the place where it runs. */
  static start(
    enter: (command: readonly string[]) => readonly string[],
    python: readonly string[],
    script: string = TALK_SCRIPT,
  ): Talker {
    return new Talker(enter([...python, script]));
  }

  /** One byte there and back. */
  connect(kind: 'tcp' | 'udp', host: string, port: number): Promise<TalkAnswer> {
    return this.request({ op: 'connect', kind, host, port });
  }

  /** Echoes, on all addresses of both families. */
  listen(kind: 'tcp' | 'udp', port: number): Promise<TalkAnswer> {
    return this.request({ op: 'listen', kind, port });
  }

  /** Opens a TCP connection that stays, from port `own` where that is given; `ask` uses it. */
  hold(host: string, port: number, own = 0): Promise<TalkAnswer> {
    return this.request({ op: 'hold', host, port, own });
  }

  /** Sends to everybody who is connected to its listeners. */
  push(): Promise<TalkAnswer> {
    return this.request({ op: 'push' });
  }

  /** So many from port `own`, and how many answers came. */
  datagrams(host: string, port: number, own: number, count: number): Promise<TalkAnswer> {
    return this.request({ op: 'datagrams', host, port, own, count });
  }

  ask(number: number): Promise<TalkAnswer> {
    return this.request({ op: 'ask', number });
  }
}
