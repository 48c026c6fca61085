/**
 * The addresses of the names that policies use: resolved ahead, refreshed as their records run out, kept for a while after
 * that, because programs go on using an address they once got.
 */
import type { Background } from '../kernel/background.ts';
import { type Address, equalAddress } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { NamedAddresses } from '../net/dns-answer.ts';
import { type NameState, NEVER } from '../policy/facts.ts';
import { type AnsweredAddress, type LookUp, MAX_ADDRESSES_PER_ANSWER, type NameAnswer } from './name-lookup.ts';

/** Names beyond this are not resolved ahead, only when a flow waits for one of them. */
export const MAX_NAMES = 4096;
export const MAX_LOOKUPS_AT_ONCE = 8;
/** An address holds for its record's time to live, and for at least this long. */
export const MIN_LIFETIME_MS = 300_000;
export const MAX_LIFETIME_MS = 86_400_000;
export const MIN_REFRESH_MS = 15_000;
const MAX_REFRESH_MS = 3_600_000;
/** How long "there is no such name" holds; then the next flow asks anew. */
export const ABSENCE_MS = 10_000;
const FIRST_RETRY_MS = 5_000;
const MAX_RETRY_MS = 300_000;
/** Addresses that have run out are remembered, so that live flows to them can be told from others. */
const REMEMBERED_MS = 86_400_000;
/** What was learned is in force already; this is how long the plan may take to say the same. */
const LEARNED_AFTER_MS = 1000;

interface Entry {
  state: NameState;
  /** Address text is its family and value; when it was last part of an answer. */
  readonly seen: Map<string, { readonly address: Address; readonly atMs: number }>;
  dueMs: number;
  failures: number;
  isAsking: boolean;
  /** False: what is refused stays refused, whatever becomes of the name. */
  expires: boolean;
  /** While "there is no such name" holds. */
  absentUntilMs?: number;
  because?: string;
}

export interface NamesOptions {
  readonly background: Background;
  readonly lookUp: LookUp;
  readonly nowMs: () => MonotonicMs;
  /**
   * Whether an address is one that rules which refuse a name do not speak of: there it holds no longer than in other rules,
   * and nobody is told of it for ever. Absent: there are none.
   */
  readonly isInside?: (address: Address) => boolean;
  /** Some state object is another one now. */
  readonly onChange: () => void;
  /** `failures()` says something else now. */
  readonly onFailures?: () => void;
}

/** Which names are refused by some rule, and which are allowed by one. */
export interface Watched {
  readonly never?: ReadonlySet<string>;
  readonly allowed?: ReadonlySet<string>;
}

const NO_NAMES: ReadonlySet<string> = new Set();
const UNKNOWN: NameState = { known: false };

/** From its construction until it is disposed of. State objects stay the same as long as they say the same. */
export class Names implements Disposable {
  readonly #options: NamesOptions;
  readonly #entries = new Map<string, Entry>();
  /** Asked for by a flow that waits; before all others. */
  readonly #urgent = new Set<string>();
  #states: ReadonlyMap<string, NameState> = new Map();
  #allowed: ReadonlySet<string> = NO_NAMES;
  #excess: readonly string[] = [];
  #asking = 0;
  #timer: NodeJS.Timeout | undefined;
  #announcement: NodeJS.Timeout | undefined;
  #isDisposed = false;

  constructor(options: NamesOptions) {
    this.#options = options;
  }

  /**
   * The names to keep resolved, from now on. Of those in `never`, an address that was ever part of an answer holds for good,
   * but for one that a name in `allowed` has at that moment: it holds as long as answers say, so that whoever is refused can
   * take nobody with him for ever.
   */
  watch(names: Iterable<string>, { never = NO_NAMES, allowed = NO_NAMES }: Watched = {}): void {
    this.#allowed = allowed;
    const wanted = [...new Set(names)];
    this.#excess = wanted.slice(MAX_NAMES);
    const kept = new Set(wanted.slice(0, MAX_NAMES));
    let hasChanged = false;
    for (const name of [...this.#entries.keys()]) {
      if (kept.has(name)) continue;
      this.#entries.delete(name);
      this.#urgent.delete(name);
      hasChanged = true;
    }
    for (const name of kept) {
      if (this.#entries.has(name)) continue;
      this.#entries.set(name, {
        state: UNKNOWN,
        seen: new Map(),
        dueMs: 0,
        failures: 0,
        isAsking: false,
        expires: true,
      });
      hasChanged = true;
    }
    for (const [name, entry] of this.#entries) if (this.#setExpires(entry, !never.has(name))) hasChanged = true;
    if (hasChanged) this.#publish();
    this.#advance();
  }

  /** A flow waits for it. */
  resolveNow(name: string): void {
    if (!this.#entries.has(name)) return;
    this.#urgent.add(name);
    this.#advance();
  }

  /** The network is another one: what failed before may work now. */
  retryFailed(): void {
    for (const entry of this.#entries.values()) if (entry.failures > 0) entry.dueMs = 0;
    this.#advance();
  }

  /**
   * What somebody was answered: holds at once, and `onChange` says it a little later, for many at a time. Returns the names that
   * have addresses which they had not, or not for long: with these alone.
   */
  learn(answers: readonly NamedAddresses[]): ReadonlyMap<string, NameState> {
    const nowMs = this.#options.nowMs();
    const fresh = new Map<string, NameState>();
    for (const { name, addresses } of answers) {
      const entry = this.#entries.get(name);
      if (entry === undefined || addresses.length === 0) continue;
      const { state: before, dueMs } = entry;
      this.#keep(entry, addresses.slice(0, MAX_ADDRESSES_PER_ANSWER), nowMs);
      // Others may use what they were answered before anybody looked.
      entry.dueMs = dueMs;
      if (entry.state === before || !entry.state.known) continue;
      const old = new Set(before.known ? before.addresses : []);
      fresh.set(name, { known: true, addresses: entry.state.addresses.filter((one) => !old.has(one)) });
    }
    if (fresh.size === 0) return fresh;
    this.#states = new Map([...this.#entries].map(([name, { state }]) => [name, state]));
    this.#announcement ??= this.#options.background.timeout(() => {
      this.#announcement = undefined;
      this.#options.onChange();
    }, LEARNED_AFTER_MS);
    this.#announcement.unref();
    return fresh;
  }

  /** The same map as long as nothing in it changes. */
  states(): ReadonlyMap<string, NameState> {
    return this.#states;
  }

  /** Each name with all addresses it is known to have had lately: for flows that began when they held. */
  remembered(): ReadonlyMap<string, NameState> {
    const names = new Map<string, NameState>();
    for (const [name, { state, seen }] of this.#entries) {
      const addresses = [...seen.values()].map(({ address }) => ({ address, expiresAtMs: Number.POSITIVE_INFINITY }));
      names.set(name, addresses.length === 0 ? state : { known: true, addresses });
    }
    return names;
  }

  /** Names that cannot be resolved now, with the reason; those beyond the limit included. */
  failures(): readonly { readonly name: string; readonly because: string }[] {
    const failed = [...this.#entries].filter(([, { because }]) => because !== undefined);
    return [
      ...failed.map(([name, { because = '' }]) => ({ name, because })),
      ...this.#excess.map((name) => ({ name, because: `more than ${MAX_NAMES} names` })),
    ];
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#announcement);
  }

  #advance(): void {
    if (this.#isDisposed) return;
    clearTimeout(this.#timer);
    const nowMs = this.#options.nowMs();
    this.#expire(nowMs);
    for (const name of this.#dueNames(nowMs)) {
      if (this.#asking >= MAX_LOOKUPS_AT_ONCE) break;
      this.#options.background.run(() => this.#ask(name));
    }
    this.#schedule(nowMs);
  }

  *#dueNames(nowMs: MonotonicMs): Generator<string> {
    for (const name of this.#urgent) if (this.#entries.get(name)?.isAsking === false) yield name;
    for (const [name, { dueMs, isAsking }] of this.#entries) if (!isAsking && dueMs <= nowMs) yield name;
  }

  #schedule(nowMs: MonotonicMs): void {
    // With all lookups under way, the first that ends goes on.
    if (this.#asking >= MAX_LOOKUPS_AT_ONCE) return;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) {
      if (!entry.isAsking) nextMs = Math.min(nextMs, entry.dueMs);
      nextMs = Math.min(nextMs, entry.absentUntilMs ?? nextMs, firstExpiryMs(entry.state));
    }
    if (nextMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.min(Math.max(nextMs - nowMs, 1), MAX_REFRESH_MS);
    this.#timer = this.#options.background.timeout(() => this.#advance(), delayMs);
    this.#timer.unref();
  }

  async #ask(name: string): Promise<void> {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#asking += 1;
    entry.isAsking = true;
    this.#urgent.delete(name);
    const answer = await this.#options.lookUp(name);
    this.#asking -= 1;
    entry.isAsking = false;
    if (this.#isDisposed) return;
    if (this.#entries.get(name) === entry) this.#take(entry, answer);
    this.#advance();
  }

  #take(entry: Entry, answer: NameAnswer): void {
    const nowMs = this.#options.nowMs();
    const { state: before, because } = entry;
    if (answer.kind === 'addresses') this.#keep(entry, answer.addresses, nowMs);
    else {
      entry.failures += 1;
      entry.dueMs = nowMs + Math.min(FIRST_RETRY_MS * 2 ** (entry.failures - 1), MAX_RETRY_MS);
      entry.because = answer.kind === 'none' ? 'there is no such name' : answer.because;
      const isAlive = before.known && before.addresses.some(({ expiresAtMs }) => expiresAtMs > nowMs);
      if (answer.kind === 'none' && !isAlive) {
        entry.absentUntilMs = nowMs + ABSENCE_MS;
        if (!before.known || before.addresses.length > 0) entry.state = { known: true, addresses: [] };
      }
    }
    if (entry.state !== before) this.#publish();
    if (entry.because !== because) this.#options.onFailures?.();
  }

  #keep(entry: Entry, addresses: readonly AnsweredAddress[], nowMs: MonotonicMs): void {
    delete entry.because;
    delete entry.absentUntilMs;
    entry.failures = 0;
    const ttlMs = Math.min(...addresses.map(({ ttlSeconds }) => ttlSeconds * 1000));
    entry.dueMs = nowMs + Math.min(Math.max(ttlMs, MIN_REFRESH_MS), MAX_REFRESH_MS);
    entry.state = withAnswer(entry.state, addresses, nowMs, this.#keptForGood(entry, nowMs));
    remember(entry, addresses, nowMs);
  }

  /** Of the addresses of a name: those that are kept whatever is answered later. */
  #keptForGood(entry: Entry, nowMs: MonotonicMs): (address: Address) => boolean {
    if (entry.expires) return () => false;
    let shared: ReadonlySet<string> | undefined;
    return (address) => {
      shared ??= this.#allowedAddresses(entry, nowMs);
      return this.#options.isInside?.(address) !== true && !shared.has(addressKey(address));
    };
  }

  #allowedAddresses(but: Entry, nowMs: MonotonicMs): ReadonlySet<string> {
    const keys = new Set<string>();
    for (const name of this.#allowed) {
      const entry = this.#entries.get(name);
      if (entry === undefined || entry === but || !entry.state.known) continue;
      for (const { address, expiresAtMs } of entry.state.addresses)
        if (expiresAtMs > nowMs) keys.add(addressKey(address));
    }
    return keys;
  }

  /** Addresses whose time is over go; a name without any is unknown again, so that the next flow asks. */
  #expire(nowMs: MonotonicMs): void {
    let hasChanged = false;
    for (const entry of this.#entries.values()) {
      const { state } = entry;
      if (!state.known) continue;
      if (entry.absentUntilMs !== undefined && entry.absentUntilMs > nowMs) continue;
      const alive = state.addresses.filter(({ expiresAtMs }) => expiresAtMs > nowMs);
      if (alive.length > 0 && alive.length === state.addresses.length) continue;
      entry.state = alive.length === 0 ? UNKNOWN : { known: true, addresses: alive };
      delete entry.absentUntilMs;
      hasChanged = true;
    }
    if (hasChanged) this.#publish();
  }

  /** Whether the state is another one. */
  #setExpires(entry: Entry, expires: boolean): boolean {
    if (entry.expires === expires) return false;
    entry.expires = expires;
    if (!entry.state.known || entry.state.addresses.length === 0) return false;
    const nowMs = this.#options.nowMs();
    const isForGood = this.#keptForGood(entry, nowMs);
    const addresses = entry.state.addresses.map(({ address }) => ({
      address,
      expiresAtMs: isForGood(address) ? NEVER : nowMs + MIN_LIFETIME_MS,
    }));
    entry.state = { known: true, addresses };
    return true;
  }

  #publish(): void {
    this.#states = new Map([...this.#entries].map(([name, { state }]) => [name, state]));
    this.#options.onChange();
  }
}

const addressKey = ({ family, value }: Address): string => `${family} ${value}`;

function firstExpiryMs(state: NameState): number {
  return state.known ? Math.min(...state.addresses.map(({ expiresAtMs }) => expiresAtMs)) : Number.POSITIVE_INFINITY;
}

type Addresses = Extract<NameState, { readonly known: true }>['addresses'];

/**
 * The same object where the answer names nothing new and nothing is about to run out: each new state is a change of the
 * kernel's sets.
 */
function withAnswer(
  before: NameState,
  answered: readonly AnsweredAddress[],
  nowMs: MonotonicMs,
  isForGood: (address: Address) => boolean,
): NameState {
  const old: Addresses = before.known ? before.addresses.filter(({ expiresAtMs }) => expiresAtMs > nowMs) : [];
  const kept = [...old];
  let hasChanged = !before.known || old.length !== before.addresses.length;
  for (const { address, ttlSeconds } of answered) {
    const lifetimeMs = Math.min(Math.max(ttlSeconds * 1000, MIN_LIFETIME_MS), MAX_LIFETIME_MS);
    const place = kept.findIndex((entry) => equalAddress(entry.address, address));
    const known = kept[place];
    if (known !== undefined && known.expiresAtMs - nowMs > lifetimeMs / 2) continue;
    const renewed = { address, expiresAtMs: isForGood(address) ? NEVER : nowMs + lifetimeMs };
    if (known === undefined) kept.push(renewed);
    else kept[place] = renewed;
    hasChanged = true;
  }
  // The newest answers are at the end.
  return hasChanged ? { known: true, addresses: kept.slice(-MAX_ADDRESSES_PER_ANSWER) } : before;
}

function remember(entry: Entry, answered: readonly { readonly address: Address }[], nowMs: MonotonicMs): void {
  for (const { address } of answered) {
    const key = addressKey(address);
    entry.seen.delete(key);
    entry.seen.set(key, { address, atMs: nowMs });
  }
  for (const [key, { atMs }] of entry.seen) {
    if (entry.seen.size <= MAX_ADDRESSES_PER_ANSWER && nowMs - atMs <= REMEMBERED_MS) break;
    entry.seen.delete(key);
  }
}
