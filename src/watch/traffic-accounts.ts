/**
 * What connections have carried, by application and way. A connection is counted when it ends, and while it is open at each look
 * at all of them: what was counted of it by then is remembered and not counted again. So no total ever falls, whatever is
 * lost, marked anew or asked for in between. Pure.
 */
import type { AccountTotal, Volume } from '../api/traffic-totals.ts';
import { IPS_DYING } from '../netlink/conntrack.ts';
import type { ConntrackCounts, DirectionCounts } from '../netlink/conntrack-counts.ts';
import { MARK_APP, MARK_OURS, MARK_UPLINK } from '../plan/reserved.ts';
import { compareText } from '../policy/policy-source.ts';
import { type AccountName, AccountNames } from './account-names.ts';
import type { FlowNumbers } from './flow-names.ts';

/** Open connections of which it is known what was counted, about 200 bytes each. Further ones are counted when they end. */
export const MAX_REMEMBERED = 65_536;
/** Pairs of application and way that have had a connection. What is beyond them counts as one. */
export const MAX_ACCOUNTS = 16_384;
export const FURTHER_APPS = 'further applications';

/** The numbers that a mark has of ours. */
const MARK_ACCOUNT = MARK_UPLINK | MARK_APP;

interface Account {
  readonly name: AccountName;
  begun: number;
  ended: number;
  isCounted: boolean;
  readonly sent: DirectionCounts;
  readonly received: DirectionCounts;
}

/** An open connection. */
interface Remembered {
  /** By which it began; none where that was before anybody looked. */
  begunBy: Account | undefined;
  /** By which what it carries counts, as long as its mark has these numbers. */
  account: Account | undefined;
  key: number;
  /** The last one that saw it. */
  look: number;
  readonly original: DirectionCounts;
  readonly reply: DirectionCounts;
}

export class TrafficAccounts {
  readonly #names = new AccountNames();
  readonly #accounts = new Map<string, Account>();
  /** By the numbers of a mark; those of before are forgotten when a number may mean another name. */
  readonly #byKey = new Map<number, Account>();
  readonly #open = new Map<number, Remembered>();
  #look = 0;
  #overruns = 0;

  get overruns(): number {
    return this.#overruns;
  }

  /** Whether to look at what is open before `follow`, as its marks mean something else after it. */
  reassigns(numbers: FlowNumbers): boolean {
    return this.#names.isNews(numbers) && this.#names.reassigns(numbers);
  }

  /** From now on marks are read by these. What was counted keeps its name. */
  follow(numbers: FlowNumbers): void {
    if (!this.#names.isNews(numbers)) return;
    this.#names.follow(numbers);
    this.#byKey.clear();
  }

  /** The kernel could not tell of connections that have ended. */
  noteOverrun(): void {
    this.#overruns += 1;
  }

  /** It was open when counting began: only what it carries from now on counts. */
  noteStanding(counts: ConntrackCounts): void {
    if (this.#open.size >= MAX_REMEMBERED || this.#open.has(counts.id)) return;
    setTo(this.#remember(counts, undefined), counts);
  }

  /** Every entry that conntrack has now is to be told of by `noteOpen`, ours or not, and then `endLook`. */
  beginLook(): void {
    this.#look += 1;
  }

  noteOpen(counts: ConntrackCounts): void {
    const remembered = this.#open.get(counts.id);
    // Told of again in the same look, or ended already: its event says the rest.
    const isAgain = remembered?.look === this.#look;
    if (remembered !== undefined) remembered.look = this.#look;
    if (isAgain || (counts.status & IPS_DYING) !== 0) return;
    if (remembered !== undefined) {
      this.#moveOn(remembered, counts);
      return;
    }
    if (!isOurs(counts) || this.#open.size >= MAX_REMEMBERED) return;
    const account = this.#accountOf(counts.mark);
    account.begun += 1;
    this.#moveOn(this.#remember(counts, account), counts);
  }

  /** `isWhole`: every event of before the look has been told of. Whatever it has not seen has ended without one. */
  endLook({ isWhole }: { readonly isWhole: boolean }): void {
    if (!isWhole) return;
    for (const [id, remembered] of this.#open) {
      if (remembered.look === this.#look) continue;
      this.#open.delete(id);
      const account = remembered.begunBy ?? remembered.account;
      if (account !== undefined) account.ended += 1;
    }
  }

  /** Of an event of its end. */
  noteEnded(counts: ConntrackCounts): void {
    const remembered = this.#open.get(counts.id);
    if (remembered !== undefined) {
      this.#open.delete(counts.id);
      this.#moveOn(remembered, counts);
      const account = remembered.begunBy ?? remembered.account;
      if (account !== undefined) account.ended += 1;
      return;
    }
    if (!isOurs(counts)) return;
    const account = this.#accountOf(counts.mark);
    account.begun += 1;
    account.ended += 1;
    add(account, counts, NOTHING);
  }

  /** Sorted by application, way and uplink. */
  totals(): AccountTotal[] {
    const open = new Map<Account, number>();
    for (const { account } of this.#open.values())
      if (account !== undefined) open.set(account, (open.get(account) ?? 0) + 1);
    return [...this.#accounts.values()]
      .map((account) => totalOf(account, open.get(account) ?? 0))
      .sort(
        (a, b) => compareText(a.app, b.app) || compareText(a.way, b.way) || compareText(a.uplink ?? '', b.uplink ?? ''),
      );
  }

  /** As having carried nothing yet. */
  #remember(counts: ConntrackCounts, begunBy: Account | undefined): Remembered {
    const remembered: Remembered = {
      begunBy,
      account: begunBy,
      key: counts.mark & MARK_ACCOUNT,
      look: this.#look,
      original: { packets: 0, bytes: 0 },
      reply: { packets: 0, bytes: 0 },
    };
    this.#open.set(counts.id, remembered);
    return remembered;
  }

  /** Adds what it has carried since it was last looked at. */
  #moveOn(remembered: Remembered, counts: ConntrackCounts): void {
    const key = counts.mark & MARK_ACCOUNT;
    // A mark that is not ours: it waits to be decided again, and belongs to whom it belonged.
    if (isOurs(counts) && (remembered.account === undefined || key !== remembered.key)) {
      remembered.account = this.#accountOf(counts.mark);
      remembered.key = key;
    }
    if (remembered.account === undefined) return;
    add(remembered.account, counts, remembered);
    setTo(remembered, counts);
  }

  #accountOf(mark: number): Account {
    const key = mark & MARK_ACCOUNT;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const account = this.#accountNamed(this.#names.nameOf(mark));
    this.#byKey.set(key, account);
    return account;
  }

  #accountNamed(name: AccountName): Account {
    const key = `${name.app} ${name.way} ${name.uplink ?? ''}`;
    const known = this.#accounts.get(key);
    if (known !== undefined) return known;
    if (this.#accounts.size >= MAX_ACCOUNTS && name.app !== FURTHER_APPS)
      return this.#accountNamed({ app: FURTHER_APPS, way: 'unknown' });
    const account: Account = {
      ...{ name, begun: 0, ended: 0, isCounted: false },
      sent: { packets: 0, bytes: 0 },
      received: { packets: 0, bytes: 0 },
    };
    this.#accounts.set(key, account);
    return account;
  }
}

type Counted = Pick<Remembered, 'original' | 'reply'>;
const NOTHING: Counted = { original: { packets: 0, bytes: 0 }, reply: { packets: 0, bytes: 0 } };

const isOurs = ({ mark }: ConntrackCounts): boolean => (mark & MARK_OURS) !== 0;

function add(account: Account, counts: ConntrackCounts, before: Counted): void {
  if (!counts.isCounted) return;
  account.isCounted = true;
  // The original direction is that of the first packet.
  const isInbound = account.name.way === 'inbound';
  addDirection(isInbound ? account.received : account.sent, counts.original, before.original);
  addDirection(isInbound ? account.sent : account.received, counts.reply, before.reply);
}

/** Fewer than before: somebody has set the kernel's counters to 0, and they have begun anew. */
function addDirection(total: DirectionCounts, now: DirectionCounts, before: DirectionCounts): void {
  const isAnew = now.packets < before.packets || now.bytes < before.bytes;
  total.packets += isAnew ? now.packets : now.packets - before.packets;
  total.bytes += isAnew ? now.bytes : now.bytes - before.bytes;
}

function setTo(remembered: Counted, { isCounted, original, reply }: ConntrackCounts): void {
  if (!isCounted) return;
  Object.assign(remembered.original, original);
  Object.assign(remembered.reply, reply);
}

function totalOf({ name, begun, ended, isCounted, sent, received }: Account, open: number): AccountTotal {
  const volume = ({ packets, bytes }: DirectionCounts): Volume => ({ packets, bytes });
  return { ...name, begun, ended, open, ...(isCounted && { sent: volume(sent), received: volume(received) }) };
}
