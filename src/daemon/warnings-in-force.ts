/** What follows from what is in force and from its names, after each round and whenever time alone may have changed it. */
import { formatAddress } from '../net/address.ts';
import type { MonotonicMs } from '../net/clock.ts';
import { ambiguousNames } from '../policy/ambiguous-names.ts';
import { namesHosts } from '../policy/dns-query.ts';
import type { InsideKind } from '../policy/inside-address.ts';
import { namesInside } from '../policy/names-inside.ts';
import { intoOwnTunnels } from '../policy/own-tunnel-policies.ts';
import { packageNames } from '../watch/named-things.ts';
import { packageManager } from '../watch/package-manager.ts';
import type { HealthCode, Warning } from './health.ts';
import type { InForce } from './in-force.ts';

type Finding = readonly [code: HealthCode, warning: Warning | undefined];
type Failures = readonly { readonly name: string; readonly because: string }[];

/** Names that do not resolve are shown up to this many. */
const SHOWN_NAMES = 5;

/** `failures`: names that cannot be resolved now. */
export function warningsInForce(
  inForce: InForce | undefined,
  failures: Failures,
  nowMs: MonotonicMs,
): readonly Finding[] {
  return [
    names(failures),
    ambiguous(inForce, nowMs),
    inside(inForce, nowMs),
    numbers(inForce),
    devices(inForce),
    addressesOfVpns(inForce),
    packages(inForce),
    ownTunnels(inForce),
  ];
}

function names(failures: Failures): Finding {
  if (failures.length === 0) return ['names-not-resolved', undefined];
  const shown = failures.slice(0, SHOWN_NAMES).map(({ name, because }) => `${name} (${because})`);
  const more = failures.length > SHOWN_NAMES ? ` and ${failures.length - SHOWN_NAMES} more` : '';
  return ['names-not-resolved', { message: `names in rules that cannot be resolved: ${shown.join(', ')}${more}` }];
}

function ambiguous(inForce: InForce | undefined, nowMs: MonotonicMs): Finding {
  if (inForce === undefined) return ['names-ambiguous', undefined];
  const { policySet, snapshot } = inForce;
  const found = policySet.apps.flatMap((policy) =>
    namesHosts(policy) ? ambiguousNames(policy, snapshot.facts, nowMs).map((one) => ({ ...one, app: policy.app })) : [],
  );
  if (found.length === 0) return ['names-ambiguous', undefined];
  const shown = found
    .slice(0, SHOWN_NAMES)
    .map(({ app, address, names: shared }) => `${formatAddress(address)} is ${shared.join(' and ')} (${app})`);
  const more = found.length > SHOWN_NAMES ? ` and ${found.length - SHOWN_NAMES} more` : '';
  const message = `names that rules treat differently share an address: ${shown.join(', ')}${more}`;
  return ['names-ambiguous', { message, hint: 'connections do not say which is meant: the first rule decides' }];
}

const INSIDE: Record<InsideKind, string> = {
  unspecified: 'no address of anybody',
  loopback: 'this machine itself',
  own: 'an address of this machine',
  multicast: 'a multicast address',
  broadcast: 'a broadcast address',
  resolver: 'a configured resolver',
  gateway: 'a gateway',
};

function inside(inForce: InForce | undefined, nowMs: MonotonicMs): Finding {
  if (inForce === undefined) return ['names-point-inside', undefined];
  const { policySet, snapshot } = inForce;
  const found = policySet.apps.flatMap((policy) =>
    namesHosts(policy) ? namesInside(policy, snapshot.facts, nowMs) : [],
  );
  if (found.length === 0) return ['names-point-inside', undefined];
  const shown = found
    .slice(0, SHOWN_NAMES)
    .map(({ name, address, is, at }) => `${name} is ${formatAddress(address)}, ${INSIDE[is]} (${at.file}:${at.line})`);
  const more = found.length > SHOWN_NAMES ? ` and ${found.length - SHOWN_NAMES} more` : '';
  const message = `names that rules refuse point at the network itself, which stays reachable: ${shown.join(', ')}${more}`;
  return ['names-point-inside', { message, hint: 'a rule with the address itself in `to` refuses it' }];
}

function numbers(inForce: InForce | undefined): Finding {
  const without = [...(inForce?.ids.without.apps ?? []), ...(inForce?.ids.without.uplinks ?? [])];
  if (without.length === 0) return ['numbers-exhausted', undefined];
  const message = `there are no numbers left in the marks for ${without.slice(0, SHOWN_NAMES).join(', ')}`;
  return ['numbers-exhausted', { message, hint: 'remove policies or uplinks that are not needed' }];
}

/** Entries for packages of which nobody can tell what is in them. */
function packages(inForce: InForce | undefined): Finding {
  const names = inForce === undefined ? [] : packageNames(inForce.policySet);
  const manager = names.length === 0 ? 'dpkg' : packageManager();
  if (manager === 'dpkg') return ['packages-not-told', undefined];
  const message = `policies name packages (${names.slice(0, SHOWN_NAMES).join(', ')}), which are told by dpkg alone`;
  const has =
    manager === undefined ? 'this machine has no package manager that is known' : `this machine has ${manager}`;
  return ['packages-not-told', { message: `${message}; ${has}`, hint: 'name their executables instead' }];
}

function devices(inForce: InForce | undefined): Finding {
  const uplinks = inForce?.machine.facts.uplinks ?? [];
  const missing = uplinks.filter(({ deviceIndex }) => deviceIndex === undefined);
  if (missing.length === 0) return ['uplink-missing', undefined];
  const shown = missing.map(({ name, device }) => `${name} (${device})`).join(', ');
  const message = `uplinks whose network device is missing: ${shown}`;
  return ['uplink-missing', { message, hint: 'what requires them is refused; is the name of the device right?' }];
}

function ownTunnels(inForce: InForce | undefined): Finding {
  const found = inForce === undefined ? [] : intoOwnTunnels(inForce);
  if (found.length === 0) return ['own-tunnel', undefined];
  const shown = found
    .slice(0, SHOWN_NAMES)
    .map(
      ({ app, pid, device, via }) =>
        `${app} (process ${pid}) carries ${device}, and its via leads there (${via.file}:${via.line})`,
    );
  const message = `policies send tunnels into themselves, which is refused: ${shown.join(', ')}`;
  return ['own-tunnel', { message, hint: 'prohibit the tunnel in that via, or leave it out of the policy' }];
}

function addressesOfVpns(inForce: InForce | undefined): Finding {
  const uplinks = inForce?.machine.facts.uplinks ?? [];
  const found = uplinks.flatMap(({ name, ofVpn = [] }) =>
    ofVpn.map((address) => `${name} (${formatAddress(address)})`),
  );
  if (found.length === 0) return ['address-of-vpn', undefined];
  const message = `uplinks that were given an address of a VPN: ${found.join(', ')}`;
  return [
    'address-of-vpn',
    {
      message,
      hint: 'what answers from it goes by the VPN; `networks` in the uplink\u2019s file says that it is its own',
    },
  ];
}
