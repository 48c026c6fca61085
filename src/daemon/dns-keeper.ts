/** Keeps the relay of queries listening, and says what programs' queries do not go through it. */

import { SocketDiag } from '../identify/socket-diag.ts';
import type { Background } from '../kernel/background.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Address } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import type { ConntrackTuple } from '../netlink/conntrack-tuple.ts';
import { NOISY_USERS, RELAY_ALIVE } from '../plan/compile-dns.ts';
import { DNS_RELAY_PORT } from '../plan/reserved.ts';
import { DNS_PROTOCOLS, loopbackResolvers } from '../policy/dns-query.ts';
import { asksBySocket, upstreamResolvers } from '../watch/resolvers.ts';
import { firstUnprivilegedPort } from '../watch/unprivileged-ports.ts';
import { type DnsCounts, DnsRelay, type DnsShare } from './dns-relay.ts';
import type { DnsFacts } from './dns-ways.ts';
import type { Enforcement } from './enforce.ts';
import type { Health } from './health.ts';
import { NOISY_FOR_MS, NoisyUsers } from './noisy-users.ts';
import { ShareWarning } from './share-warning.ts';

/** While nobody refreshes it, the kernel redirects for so long at most: only where the files say open. */
const ALIVE_MS = 15_000;
const REFRESH_MS = 5_000;

export interface DnsKeeperParts {
  readonly background: Background;
  readonly kernel: Pick<Kernel, 'conntrack'>;
  readonly enforcement: Pick<Enforcement, 'inForce' | 'sets'>;
  readonly health: Pick<Health, 'report'>;
  readonly nowMs: () => MonotonicMs;
  /** DNS servers that a manager of networks was told by the network of a device. */
  readonly managedResolvers: (device: string) => readonly Address[];
}

const NOTHING: DnsCounts = { asked: 0, answered: 0, failed: 0, mismatched: 0, learned: 0 };

export class DnsKeeper implements AsyncDisposable {
  readonly #parts: DnsKeeperParts;
  readonly #timer: NodeJS.Timeout;
  /** Uplinks that lead to no resolver that is known. */
  readonly #without = new Set<string>();
  readonly #shares = new ShareWarning<DnsShare>({
    nobody: 'programs that close their sockets at once',
    of: { queries: 'queries under way', connections: 'connections' },
    message: 'users who ask for more than their share of DNS are refused the rest',
    hint: 'ss -tunp dport = :53 shows who asks',
  });
  readonly #noisy = new NoisyUsers();
  #sockets: SocketDiag | undefined;
  #relay: DnsRelay | undefined;
  #opening: Promise<void> | undefined;
  #isClosed = false;

  constructor(parts: DnsKeeperParts) {
    this.#parts = parts;
    this.#timer = parts.background.interval(() => {
      this.refresh();
      this.#reportShares();
    }, REFRESH_MS);
    this.#timer.unref();
  }

  get counts(): DnsCounts {
    return this.#relay?.counts ?? NOTHING;
  }

  /** Listens, where it does not yet. */
  async look(): Promise<void> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    await this.#opening;
    this.reportFollowed();
  }

  /** Looks whether programs ask by other ways. */
  reportFollowed(): void {
    const isAskedBySocket = this.#isRelaying && asksBySocket();
    const message = 'programs ask systemd-resolved by its socket (resolve in /etc/nsswitch.conf), not by DNS';
    const hint = 'without resolve in that line their queries follow them, also through its stub at 127.0.0.53';
    const detail = `${message}: these queries go by the system's route, and teach nothing`;
    this.#parts.health.report('dns-not-followed', isAskedBySocket ? { message: detail, hint } : undefined);
    this.#reportPort();
  }

  #reportPort(): void {
    const first = firstUnprivilegedPort();
    const isOpen = this.#isRelaying && first <= DNS_RELAY_PORT;
    const setting = `net.ipv4.ip_unprivileged_port_start is ${first}`;
    const message = `${setting}: while no daemon listens on port ${DNS_RELAY_PORT}, anybody may, and get the redirected queries`;
    const hint = `sysctl net.ipv4.ip_unprivileged_port_start=${DNS_RELAY_PORT + 1} or more`;
    this.#parts.health.report('dns-port-unprivileged', isOpen ? { message, hint } : undefined);
  }

  #reportShares(): void {
    this.#parts.health.report('dns-share-full', this.#shares.warning(this.#parts.nowMs()));
  }

  #noteShare(uid: number, share: DnsShare): void {
    const nowMs = this.#parts.nowMs();
    if (this.#shares.note(uid, share, nowMs)) this.#reportShares();
    const { background, enforcement } = this.#parts;
    if (share === 'queries' && this.#noisy.note(uid, nowMs))
      background.run(() => enforcement.sets.refresh(NOISY_USERS, [uid], NOISY_FOR_MS));
  }

  /** One question to the kernel, which it answers at once. */
  #userOf({ protocol, source, sourcePort = 0, destination, destinationPort = 0 }: ConntrackTuple): number | undefined {
    this.#sockets ??= new SocketDiag();
    const ends = { local: source, localPort: sourcePort, remote: destination, remotePort: destinationPort };
    return this.#sockets.lookup({ protocol, ...ends })?.uid;
  }

  /** Says that it is there, to a ruleset that asks. */
  refresh(): void {
    if (this.#relay === undefined) return;
    this.#parts.background.run(() => this.#parts.enforcement.sets.refresh(RELAY_ALIVE, DNS_PROTOCOLS, ALIVE_MS));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#opening;
    await this.#relay?.[Symbol.asyncDispose]();
    this.#sockets?.[Symbol.dispose]();
  }

  get #isRelaying(): boolean {
    return this.#parts.enforcement.inForce?.compilation.plan.nft.maps.has('relay_of_way') ?? false;
  }

  async #open(): Promise<void> {
    if (this.#relay !== undefined || this.#isClosed) return;
    const { background, kernel, enforcement, health } = this.#parts;
    try {
      this.#relay = await DnsRelay.open({
        background,
        conntrack: kernel.conntrack,
        userOf: (flow) => this.#userOf(flow),
        onShareFull: (uid, share) => this.#noteShare(uid, share),
        facts: () => this.#facts(),
        learn: (appId, answers) => enforcement.sets.learn(appId, answers),
        onUplink: (uplink, hasResolver) => this.#noteUplink(uplink, hasResolver),
      });
      health.report('dns-not-relayed', undefined);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const message = `queries that are to follow their application are refused: ${error.message}; trying again`;
      health.report('dns-not-relayed', { message });
    }
  }

  #facts(): DnsFacts | undefined {
    const { inForce } = this.#parts.enforcement;
    if (inForce === undefined) return undefined;
    const { policySet, machine } = inForce;
    const { facts } = machine;
    const configured = { resolvers: facts.resolvers, loopback: loopbackResolvers(facts) };
    const { managedResolvers: managed } = this.#parts;
    return { uplinks: policySet.uplinks, facts, resolvers: upstreamResolvers(configured), managed };
  }

  #noteUplink(uplink: string, hasResolver: boolean): void {
    if (this.#without.has(uplink) === !hasResolver) return;
    if (hasResolver) this.#without.delete(uplink);
    else this.#without.add(uplink);
    const message = `queries are refused: no resolver is known that uplink ${[...this.#without].join(' or ')} leads to`;
    const hint = 'name DNS servers of that network: resolvers in the file of the uplink';
    this.#parts.health.report('uplink-without-resolver', this.#without.size === 0 ? undefined : { message, hint });
  }
}
