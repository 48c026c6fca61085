/** Keeps accounts of what connections carry, for as long as the daemon runs: a socket that fails is opened again. */

import type { TrafficTotals } from '../api/traffic-totals.ts';
import type { Background } from '../kernel/background.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { type Clock, type MonotonicMs, wallAt } from '../net/clock.ts';
import { ConntrackAccountSource } from '../watch/conntrack-account-source.ts';
import { isConntrackCounted, isConntrackTold } from '../watch/conntrack-accounting.ts';
import type { FlowNumbers } from '../watch/flow-names.ts';
import { TrafficAccounts } from '../watch/traffic-accounts.ts';
import type { Health } from './health.ts';

const REOPEN_MS = 10_000;

export type AccountSource = Pick<ConntrackAccountSource, 'noteStanding' | 'takeEnded' | 'look'> & Disposable;

export interface TrafficKeeperOptions {
  readonly background: Background;
  readonly clock: Clock;
  readonly health: Pick<Health, 'report'>;
  /** Throws KernelError. */
  readonly open?: (accounts: TrafficAccounts) => AccountSource;
}

export class TrafficKeeper implements Disposable {
  readonly #options: TrafficKeeperOptions;
  readonly #accounts = new TrafficAccounts();
  #source: AccountSource | undefined;
  #sinceMs: MonotonicMs = 0;
  #reopenAtMs: MonotonicMs = 0;
  /** Before names are known nothing that has ended has one. */
  #hasNames = false;
  #rest: NodeJS.Immediate | undefined;
  #isClosed = false;

  constructor(options: TrafficKeeperOptions) {
    this.#options = options;
  }

  /** Counts from now on; before anything is in force. */
  start(): void {
    this.#sinceMs = this.#options.clock.monotonicMs();
    this.#guardedly(() => {
      this.#source = this.#open();
      this.#source.noteStanding();
    });
  }

  /** What is in force: what marks say from now on. */
  follow(numbers: FlowNumbers): void {
    // The last moment at which it is known whose the open connections are.
    if (this.#accounts.reassigns(numbers)) this.#guardedly(() => this.#source?.look());
    this.#accounts.follow(numbers);
    this.#hasNames = true;
  }

  /**
   * Takes what has been told. Called when somebody else is awake anyway, some times a second: events wait in the kernel until then,
   * so that none of them wakes anybody.
   */
  take(): void {
    if (this.#isClosed || !this.#hasNames) return;
    if (this.#source === undefined) this.#reopen();
    this.#guardedly(() => {
      if (this.#source?.takeEnded() !== false) return;
      this.#rest ??= this.#options.background.immediate(() => {
        this.#rest = undefined;
        this.take();
      });
    });
  }

  /** As of now. */
  totals(): TrafficTotals {
    const because =
      this.#guardedly(() => this.#source?.look()) ??
      (this.#source === undefined ? 'connections that end are not heard of' : undefined);
    return {
      sinceMs: wallAt(this.#options.clock, this.#sinceMs),
      accounts: this.#accounts.totals(),
      overruns: this.#accounts.overruns,
      isCounted: isConntrackCounted(),
      isTold: isConntrackTold(),
      ...(because !== undefined && { openUnknown: because }),
    };
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearImmediate(this.#rest);
    this.#source?.[Symbol.dispose]();
    this.#source = undefined;
  }

  #open(): AccountSource {
    const { open = (accounts) => ConntrackAccountSource.open(accounts) } = this.#options;
    return open(this.#accounts);
  }

  #reopen(): void {
    if (this.#options.clock.monotonicMs() < this.#reopenAtMs) return;
    // What has ended meanwhile was told nobody.
    this.#accounts.noteOverrun();
    const failure = this.#guardedly(() => {
      this.#source = this.#open();
    });
    if (failure === undefined) this.#options.health.report('traffic-not-counted', undefined);
  }

  /** What went wrong, if anything did: what is counted must not end what is enforced. */
  #guardedly(step: () => void): string | undefined {
    try {
      step();
      return undefined;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#source?.[Symbol.dispose]();
      this.#source = undefined;
      this.#reopenAtMs = this.#options.clock.monotonicMs() + REOPEN_MS;
      const message = `connections that end are not counted: ${error.message}; trying again`;
      this.#options.health.report('traffic-not-counted', { message });
      return error.message;
    }
  }
}
