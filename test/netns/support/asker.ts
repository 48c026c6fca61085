/** Drives asker.py: an unmodified program that looks names up and connects. */
import { fileURLToPath } from 'node:url';
import { AnsweringProgram } from './answering-program.ts';
import type { Device } from './device.ts';

const SCRIPT = fileURLToPath(new URL('./asker.py', import.meta.url));

/** `error`: the errno's name, `timeout`, or getaddrinfo's code. */
export type AskerAnswer = { readonly ok: boolean; readonly error?: string; readonly [fact: string]: unknown };

export class Asker extends AnsweringProgram<AskerAnswer> {
  /** `python` is the executable that the policy names, with what goes before it, such as setpriv. */
  static start(device: Device, python: readonly string[]): Asker {
    return new Asker(device.inside([...python, device.readableCopy(SCRIPT)]));
  }

  lookUp(name: string, family?: 4 | 6): Promise<AskerAnswer> {
    return this.request({ op: 'look_up', name, family });
  }

  connect(host: string, port: number): Promise<AskerAnswer> {
    return this.request({ op: 'connect_to', host, port });
  }

  lookUpAndConnect(name: string, port: number, times: number, family: 4 | 6): Promise<AskerAnswer> {
    return this.request({ op: 'look_up_and_connect', name, port, times, family });
  }

  /** From the address that the system chooses, and this port. */
  askFrom(port: number, name: string): Promise<AskerAnswer> {
    return this.request({ op: 'ask_from', port, name });
  }

  askByTcp(name: string): Promise<AskerAnswer> {
    return this.request({ op: 'ask_by_tcp', name });
  }

  measure(name: string, times: number, resolver?: string): Promise<AskerAnswer> {
    return this.request({ op: 'measure', name, times, resolver });
  }
}
