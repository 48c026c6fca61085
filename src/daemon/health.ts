/** Conditions that last and that somebody should know. docs/security.md has a paragraph for each code. */
import type { HealthWarning } from '../api/status.ts';
import { type Clock, type MonotonicMs, wallAt } from '../net/clock.ts';

export const HEALTH_CODES = [
  'apply-failed',
  'foreign-change',
  'queue-not-served',
  'events-not-watched',
  'traffic-not-counted',
  'files-not-watched',
  'files-broken',
  'files-not-read',
  'look-too-slow',
  'names-not-resolved',
  'names-ambiguous',
  'names-point-inside',
  'dns-not-relayed',
  'dns-not-followed',
  'dns-share-full',
  'dns-port-unprivileged',
  'uplink-without-resolver',
  'numbers-exhausted',
  'uplink-missing',
  'own-tunnel',
  'address-of-vpn',
  'name-not-usable',
  'uplink-refused',
  'uplink-failed',
  'uplink-not-probed',
  'captive-portal',
  'connections-not-ended',
  'control-share-full',
  'asked-share-full',
  'rolled-back',
  'foreign-mark',
  'foreign-rule',
  'panic-closed',
  'scripts-not-seen',
  'programs-not-told',
  'families-not-kept',
  'programs-not-kept',
  'packages-not-told',
  'entries-misfit',
  'self-check-failed',
  'forwarded-not-governed',
  'no-descriptors',
  'internal-error',
] as const;

export type HealthCode = (typeof HEALTH_CODES)[number];

export interface Warning {
  readonly message: string;
  readonly hint?: string;
}

/** `heldMs`: from when on. */
interface Held extends Omit<HealthWarning, 'sinceMs'> {
  readonly heldMs: MonotonicMs;
}

export interface HealthListener {
  readonly onChange: (warning: HealthWarning, over: boolean) => void;
  readonly clock: Clock;
}

export class Health {
  readonly #warnings = new Map<HealthCode, Held>();
  readonly #listener: HealthListener;

  constructor(listener: HealthListener) {
    this.#listener = listener;
  }

  /** Holds from the first time it is set; a new message replaces the old one. */
  set(code: HealthCode, { message, hint }: Warning): void {
    const before = this.#warnings.get(code);
    if (before?.message === message) return;
    const heldMs = before?.heldMs ?? this.#listener.clock.monotonicMs();
    const held = { code, message, heldMs, ...(hint !== undefined && { hint }) };
    this.#warnings.set(code, held);
    this.#listener.onChange(this.#shown(held), false);
  }

  clear(code: HealthCode): void {
    const held = this.#warnings.get(code);
    if (held === undefined) return;
    this.#warnings.delete(code);
    this.#listener.onChange(this.#shown(held), true);
  }

  /** `undefined`: all is well. */
  report(code: HealthCode, warning: Warning | undefined): void {
    if (warning === undefined) this.clear(code);
    else this.set(code, warning);
  }

  has(code: HealthCode): boolean {
    return this.#warnings.has(code);
  }

  /** The oldest first. */
  list(): readonly HealthWarning[] {
    return [...this.#warnings.values()].sort((a, b) => a.heldMs - b.heldMs).map((held) => this.#shown(held));
  }

  #shown({ heldMs, ...warning }: Held): HealthWarning {
    return { ...warning, sinceMs: wallAt(this.#listener.clock, heldMs) };
  }
}
