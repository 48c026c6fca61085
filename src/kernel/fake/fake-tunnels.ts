import type { OuterFlow, Tunnels } from '../kernel.ts';

/** Whom a test has told where it sends. */
export class FakeTunnels implements Tunnels {
  readonly #ofTun = new Map<string, readonly OuterFlow[]>();
  readonly #ofWireGuard = new Map<number, readonly OuterFlow[]>();

  carryTun(device: string, flows: readonly OuterFlow[]): void {
    this.#ofTun.set(device, flows);
  }

  carryWireGuard(deviceIndex: number, flows: readonly OuterFlow[]): void {
    this.#ofWireGuard.set(deviceIndex, flows);
  }

  ofTun(device: string): readonly OuterFlow[] | undefined {
    return this.#ofTun.get(device);
  }

  ofWireGuard(deviceIndex: number): readonly OuterFlow[] | undefined {
    return this.#ofWireGuard.get(deviceIndex);
  }
}
