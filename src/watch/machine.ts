/** Everything outside of the files that a plan depends on, read at one moment. */
import type { CgroupTree } from '../kernel/cgroup.ts';
import type { Routing, Tunnels } from '../kernel/kernel.ts';
import { formatAddress, formatPrefix } from '../net/address.ts';
import { plainText } from '../net/plain-text.ts';
import type { Host } from '../plan/host.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import type { Facts } from '../policy/facts.ts';
import { joinUplinks } from '../policy/join-uplinks.ts';
import type { AppIndex } from '../policy/match-app.ts';
import type { CarrierSources } from './carriers.ts';
import { containerDevices } from './container-devices.ts';
import type { Containers } from './containers.ts';
import type { DhcpLeases } from './dhcp-leases.ts';
import { familiesWithoutDefault, rulesFrom } from './foreign-rules.ts';
import { heldTunnels } from './held-tunnels.ts';
import { observeHost } from './host-facts.ts';
import { joinHealth } from './join-health.ts';
import { namedCgroups, namedGroups, namedUsers } from './named-things.ts';
import type { Network } from './network.ts';
import type { NetworkWatch } from './network-watch.ts';
import { configuredResolvers } from './resolvers.ts';
import { sameTexts } from './same-texts.ts';
import { tunnelEnds, wireGuardPorts } from './tunnel-ends.ts';
import { type Outside, uplinkEvidence } from './uplink-evidence.ts';
import type { UplinkHealths } from './uplink-health.ts';
import { isUserModeNetworkHere } from './user-mode-network-here.ts';

export interface Machine {
  readonly facts: Facts;
  readonly host: Host;
}

export interface MachineSources {
  readonly routing: Routing;
  readonly cgroups: CgroupTree | undefined;
  readonly queue: Host['queue'];
  readonly containers: Pick<Containers, 'names'>;
  /** What NetworkManager and ModemManager say; absent: nobody asks them. */
  readonly managed?: Outside;
  /** Absent: nobody asks them. */
  readonly tunnels?: Tunnels;
  /** Who leased this machine its addresses; absent: nobody looks. */
  readonly leases?: DhcpLeases;
  /** Which networks uplinks are in; absent: nobody looks. */
  readonly networks?: Pick<NetworkWatch, 'attach'>;
}

export interface MachineQuestion {
  /** As it is now: uplinks are derived from it before anything else. */
  readonly network: Network;
  readonly policySet: PolicySet;
  readonly index: AppIndex;
  readonly uplinkIds: ReadonlyMap<string, number>;
  readonly names: Facts['names'];
  readonly packages: Facts['packages'];
  /** Absent: nobody looks. */
  readonly healths?: UplinkHealths;
}

/** The policy set with all uplinks that there are now; the same object as `before` where that says the same. */
export function withUplinks(
  sources: Pick<MachineSources, 'managed' | 'tunnels'> & CarrierSources,
  source: PolicySet,
  network: Network,
  before?: PolicySet,
): PolicySet {
  const evidence = uplinkEvidence(network, source.uplinks, source.systemDefault, sources.managed, sources);
  const uplinks = joinUplinks(source.uplinks, evidence, before?.uplinks);
  if (uplinks === source.uplinks) return source;
  const isSame =
    before?.uplinks === uplinks &&
    before.apps === source.apps &&
    before.systemDefault === source.systemDefault &&
    before.profiles === source.profiles;
  return isSame ? before : { ...source, uplinks };
}

const NO_CONTAINERS: Facts['containers'] = new Map();

/** Parts that say the same as before are the same objects, so that nothing is compiled or handed over for nothing. Throws KernelError. */
export function observeMachine(sources: MachineSources, question: MachineQuestion, before?: Machine): Machine {
  const { network, policySet, index, uplinkIds, names, packages } = question;
  const containers = index.byContainer.size === 0 ? NO_CONTAINERS : sources.containers.names();
  const { uplinks, onLink, doubted, overstated, inside } = observeHost(network, policySet.uplinks, uplinkIds);
  const last = before?.facts;
  const cgroups = namedCgroups(index, sources.cgroups, containers);
  const forwarded = index.byContainer.size === 0 ? [] : containerDevices(sources, index, cgroups, containers);
  const { resolvers, loopback } = configuredResolvers();
  const dhcpServers = sources.leases?.servers(network.links) ?? [];
  const ends = tunnelEnds(network.links, sources.tunnels);
  const ports = wireGuardPorts(network.links, sources.tunnels);
  const held = heldTunnels(sources, network);
  const withHealth = joinHealth(uplinks, question.healths);
  const facts: Facts = {
    uplinks: sources.networks?.attach(withHealth, network, policySet.profiles) ?? withHealth,
    onLink: sameOr(last?.onLink, onLink, formatPrefix),
    ...(doubted.length > 0 && { doubted: sameOr(last?.doubted, doubted, formatPrefix) }),
    ...(overstated.length > 0 && { overstated: sameOr(last?.overstated, overstated, formatPrefix) }),
    resolvers: sameOr(last?.resolvers, resolvers, formatAddress),
    ...(loopback.length > 0 && { loopbackResolvers: sameOr(last?.loopbackResolvers, loopback, formatAddress) }),
    ...(inside.length > 0 && { inside: sameOr(last?.inside, inside, plainText) }),
    names,
    users: namedUsers(index),
    groups: namedGroups(index),
    packages,
    containers,
    ...(forwarded.length > 0 && { forwarded }),
    ...(ends.length > 0 && { tunnelEnds: sameOr(last?.tunnelEnds, ends, formatAddress) }),
    ...(held.length > 0 && { heldTunnels: sameOr(last?.heldTunnels, held, plainText) }),
    ...(ports.length > 0 && { wireGuardPorts: sameOr(last?.wireGuardPorts, ports, String) }),
    ...(isUserModeNetworkHere() && { userModeNetworks: true }),
    ...(dhcpServers.length > 0 && { dhcpServers }),
  };
  const from = rulesFrom(sources.routing);
  const noDefault = familiesWithoutDefault(sources.routing, network.routes);
  const host: Host = {
    cgroups,
    queue: sources.queue,
    ...(from !== undefined && { rulesFrom: from }),
    ...(noDefault.length > 0 && { noDefault }),
  };
  const sameMaps =
    before?.facts.names === names && before.facts.packages === packages && before.facts.containers === containers;
  const sameFacts = before !== undefined && sameMaps && text(before.facts) === text(facts);
  const sameHost = before !== undefined && text(before.host) === text(host);
  if (sameFacts && sameHost) return before;
  return { facts: sameFacts ? before.facts : facts, host: sameHost ? before.host : host };
}

/** What was made with one of these lists holds as long as it is the same object. */
const sameOr = <T>(before: readonly T[] | undefined, now: readonly T[], textOf: (one: T) => string): readonly T[] =>
  before !== undefined && sameTexts(before.map(textOf), now.map(textOf)) ? before : now;

/** Names, packages and containers are compared by identity, not here. */
function text(value: Facts | Host): string {
  if ('queue' in value) return plainText(value);
  const {
    uplinks,
    onLink,
    doubted = [],
    overstated = [],
    resolvers,
    loopbackResolvers = [],
    inside = [],
    users,
    groups,
    forwarded,
    tunnelEnds: ends = [],
    heldTunnels: held = [],
    wireGuardPorts: ports = [],
    userModeNetworks,
    dhcpServers,
  } = value;
  const networks = [uplinks, onLink, doubted, overstated, resolvers, loopbackResolvers, inside];
  const tunnels = [ends, held, ports];
  return plainText([...networks, [...users], [...groups], forwarded, tunnels, userModeNetworks, dhcpServers]);
}
