import type { OuterFlow, Tunnels, TunUse } from '../kernel.ts';

/** Whom a test has told where it sends. */
export class FakeTunnels implements Tunnels {
  readonly #ofTun = new Map<string, readonly OuterFlow[]>();
  readonly #ofWireGuard = new Map<number, readonly OuterFlow[]>();

  readonly #ports = new Map<number, number>();

  carryTun(device: string, flows: readonly OuterFlow[]): void {
    this.#ofTun.set(device, flows);
  }

  carryWireGuard(deviceIndex: number, flows: readonly OuterFlow[], port?: number): void {
    this.#ofWireGuard.set(deviceIndex, flows);
    if (port !== undefined) this.#ports.set(deviceIndex, port);
  }

  ofTun(device: string): readonly OuterFlow[] | undefined {
    return this.#ofTun.get(device);
  }

  ofWireGuard(deviceIndex: number): readonly OuterFlow[] | undefined {
    return this.#ofWireGuard.get(deviceIndex);
  }

  /** Nobody holds one. */
  useOfTun(): TunUse | undefined {
    return undefined;
  }

  portOfWireGuard(deviceIndex: number): number | undefined {
    return this.#ports.get(deviceIndex);
  }
}
