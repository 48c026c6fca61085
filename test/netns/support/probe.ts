/** Drives probe.py: an unmodified program whose sockets outlive what happens to the network. */
import { chmodSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { AnsweringProgram } from './answering-program.ts';
import type { Device } from './device.ts';

const SCRIPT = fileURLToPath(new URL('./probe.py', import.meta.url));

export type SocketKind = 'tcp' | 'udp-connected' | 'udp';

export interface OpenSocket {
  readonly id: string;
  readonly kind: SocketKind;
  readonly host: string;
  readonly port: number;
  readonly timeoutMs?: number;
  /** How often `churn` begins a new one. */
  readonly everyMs?: number;
  /** SO_MARK, needs root. */
  readonly mark?: number;
}

/** `error`: the errno's name, or `timeout`. */
export type ProbeAnswer =
  | { readonly ok: true; readonly echoed?: boolean; readonly port?: number; readonly [count: string]: unknown }
  | { readonly ok: false; readonly error: string };

export class Probe extends AnsweringProgram<ProbeAnswer> {
  /** `python` is the executable that the policy names, with what goes before it, such as setpriv. */
  static start(device: Device, python: readonly string[]): Probe {
    return new Probe(device.inside([...python, device.readableCopy(SCRIPT)]));
  }

  /** A script with the text of probe.py, to be made by `writeScript`; `command` starts it. */
  static startScript(device: Device, command: readonly string[]): Probe {
    return new Probe(device.inside(command));
  }

  /** Below the daemon's root; its absolute path. */
  static writeScript(device: Device, below: string, interpreter: string): string {
    device.write(below, `#!${interpreter}\n${readFileSync(SCRIPT, 'utf8')}`);
    chmodSync(device.path(below), 0o755);
    return device.path(below);
  }

  open(socket: OpenSocket): Promise<ProbeAnswer> {
    return this.request({ op: 'open', ...socket });
  }

  /** One byte there and back. */
  echo(id: string, timeoutMs = 8000): Promise<ProbeAnswer> {
    return this.request({ op: 'echo', id, timeoutMs });
  }

  /** What a program hears that sends nothing and waits: `timeout` where nothing has happened to its socket. */
  wait(id: string, timeoutMs: number): Promise<ProbeAnswer> {
    return this.request({ op: 'wait', id, timeoutMs });
  }

  /** Opens, and sends one byte there and back. */
  async openAndEcho(socket: OpenSocket): Promise<ProbeAnswer> {
    const opened = await this.open(socket);
    return opened.ok ? this.echo(socket.id, socket.timeoutMs) : opened;
  }

  /** Keeps sending in the background until `endStream`. */
  stream(id: string, everyMs: number): Promise<ProbeAnswer> {
    return this.request({ op: 'stream', id, everyMs });
  }

  /** Keeps beginning new flows in the background until `endStream`. */
  churn(socket: OpenSocket): Promise<ProbeAnswer> {
    return this.request({ op: 'churn', ...socket });
  }

  counts(id: string): Promise<ProbeAnswer> {
    return this.request({ op: 'counts', id });
  }

  endStream(id: string): Promise<ProbeAnswer> {
    return this.request({ op: 'end_stream', id });
  }

  localPort(id: string): Promise<ProbeAnswer> {
    return this.request({ op: 'local_port', id });
  }

  close(id: string): Promise<ProbeAnswer> {
    return this.request({ op: 'close', id });
  }
}
