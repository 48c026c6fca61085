/** Whether uplinks work: joins what looks at connections and what probes with what is in force, and says what people should know. */
import type { Background } from '../kernel/background.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { openTcpConnections, type TcpConnections } from '../kernel/tcp-connections.ts';
import type { Address, Family } from '../net/address.ts';
import { probeMark } from '../plan/reserved.ts';
import type { UplinkState } from '../policy/facts.ts';
import { type LookUp, lookUpName } from '../watch/name-lookup.ts';
import { PassiveHealth, type PassiveReading } from '../watch/passive-health.ts';
import type { ProbeContext, ProbeOutcome } from '../watch/probe.ts';
import { probeDns } from '../watch/probe-dns.ts';
import { probeHttp } from '../watch/probe-http.ts';
import { probeIcmp } from '../watch/probe-icmp.ts';
import type { ProbeTarget } from '../watch/probe-targets.ts';
import { probeTcp } from '../watch/probe-tcp.ts';
import { SocketReadiness } from '../watch/socket-readiness.ts';
import { UplinkHealth, type UplinkHealths } from '../watch/uplink-health.ts';
import type { InForce } from './in-force.ts';
import { uplinkWarnings } from './uplink-warnings.ts';

/** What has not been answered by then is lost. */
const PROBE_TIMEOUT_MS = 2000;
/** The address of a page for probes is asked for so often. */
const NAME_LIFETIME_MS = 300_000;
/** Names of pages; there is one an uplink. */
const MAX_NAMES = 256;

const NOTHING: ReadonlyMap<string, PassiveReading> = new Map();

export class UplinkProbing implements AsyncDisposable {
  readonly #readiness: SocketReadiness;
  readonly #connections: TcpConnections | undefined = tcpConnections();
  readonly #passive: PassiveHealth | undefined = this.#connections && new PassiveHealth(this.#connections);
  readonly #names = new Map<string, { readonly addresses: readonly Address[]; readonly atMs: number }>();
  readonly #lookUp: LookUp = lookUpName;
  readonly #health: UplinkHealth;

  /** `onChange`: `healths()` or `warnings()` says something else. */
  constructor(onChange: () => void, background: Background) {
    this.#readiness = new SocketReadiness(background);
    this.#health = new UplinkHealth({
      background,
      probe: (target, { uplinkId, ...way }) => {
        const readiness = this.#readiness;
        const context = { way: { ...way, mark: probeMark(uplinkId) }, readiness, timeoutMs: PROBE_TIMEOUT_MS };
        return this.#probe(target, context);
      },
      readPassive: (uplinks) => this.#readPassive(uplinks),
      // No clock that somebody may set.
      nowMs: () => performance.now(),
      random: Math.random,
      onChange,
    });
  }

  /** Uplinks that nothing in the kernel is about, because no policy chooses among them, are nobody's business. */
  follow(inForce: InForce | undefined): void {
    if (inForce !== undefined) this.#health.follow(inForce.policySet.uplinks, inForce.snapshot.facts.uplinks);
  }

  healths(): UplinkHealths {
    return this.#health.healths();
  }

  warnings(): ReturnType<typeof uplinkWarnings> {
    return uplinkWarnings(this.healths(), this.#health.notProbed());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Ends what is under way: nobody waits for answers any more.
    await this.#readiness[Symbol.asyncDispose]();
    await this.#health[Symbol.asyncDispose]();
    this.#connections?.[Symbol.dispose]();
  }

  async #probe(target: ProbeTarget, context: ProbeContext): Promise<ProbeOutcome> {
    switch (target.kind) {
      case 'icmp':
        return await probeIcmp(target.address, context);
      case 'tcp':
        return await probeTcp(target.address, target.port, context);
      case 'dns':
        return await probeDns(target.server, target.name, context);
      case 'http': {
        const address = await this.#addressOf(target.host, context.way.source.family);
        // Resolvers are not the uplink.
        if (address === undefined) return { kind: 'not sent', because: `no address of ${target.host} is known` };
        return await probeHttp({ ...target, address }, context);
      }
    }
  }

  async #addressOf(host: Address | string, family: Family): Promise<Address | undefined> {
    if (typeof host !== 'string') return host;
    const nowMs = performance.now();
    const before = this.#names.get(host);
    if (before === undefined || nowMs - before.atMs > NAME_LIFETIME_MS) {
      const answer = await this.#lookUp(host);
      if (answer.kind === 'addresses') {
        const addresses = answer.addresses.map(({ address }) => address);
        this.#names.delete(host);
        this.#names.set(host, { addresses, atMs: nowMs });
        const [oldest] = this.#names.keys();
        if (this.#names.size > MAX_NAMES && oldest !== undefined) this.#names.delete(oldest);
      }
    }
    // A resolver that is down does not take away what it once said.
    return this.#names.get(host)?.addresses.find((address) => address.family === family);
  }

  #readPassive(uplinks: readonly UplinkState[]): ReadonlyMap<string, PassiveReading> {
    try {
      return this.#passive?.read(uplinks) ?? NOTHING;
    } catch (error) {
      // Ignoring it: probes tell as well, and the next look comes.
      if (error instanceof KernelError) return NOTHING;
      throw error;
    }
  }
}

/** Without them only probes tell. */
function tcpConnections(): TcpConnections | undefined {
  try {
    return openTcpConnections();
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}
