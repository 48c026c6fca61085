/** Conditions that no event tells of. */
import type { Kernel } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { formatAddress } from '../net/address.ts';
import { FOREIGN_MARKS } from '../plan/reserved.ts';
import { ambiguousNames } from '../policy/ambiguous-names.ts';
import { namesHosts } from '../policy/dns-query.ts';
import { packageNames } from '../watch/named-things.ts';
import { packageManager } from '../watch/package-manager.ts';
import type { HealthCode, Warning } from './health.ts';
import type { InForce } from './in-force.ts';

type Finding = readonly [code: HealthCode, warning: Warning | undefined];

/** Names that do not resolve are shown up to this many. */
const SHOWN_NAMES = 5;

export async function slowFacts(
  kernel: Kernel,
  panicTable: string,
  failures: readonly { readonly name: string; readonly because: string }[],
  inForce: InForce | undefined,
): Promise<readonly Finding[]> {
  try {
    return [
      await panic(kernel, panicTable),
      foreignMarks(kernel),
      names(failures),
      ambiguous(inForce),
      numbers(inForce),
      devices(inForce),
      packages(inForce),
    ];
  } catch (error) {
    // Ignoring it: the next look comes, and enforcement itself reports what it cannot read.
    if (error instanceof KernelError) return [];
    throw error;
  }
}

async function panic(kernel: Kernel, table: string): Promise<Finding> {
  const isClosed = (await kernel.nft.observe(table)) !== undefined;
  const message = 'everything is closed: pointsman panic closed is in force';
  return ['panic-closed', isClosed ? { message, hint: 'pointsman panic off ends it' } : undefined];
}

/** Somebody who routes by a mark that our rules let pass untouched. */
function foreignMarks(kernel: Kernel): Finding {
  const marks = new Set(kernel.routing.rules().map(({ fwmark }) => fwmark));
  const owners = FOREIGN_MARKS.filter(({ mark }) => marks.has(mark)).map(({ owner }) => owner);
  if (owners.length === 0) return ['foreign-mark', undefined];
  const message = `packets that ${owners.join(' and ')} has marked pass without a decision`;
  return ['foreign-mark', { message, hint: 'they have been routed already; docs/security.md says what that means' }];
}

function names(failures: readonly { readonly name: string; readonly because: string }[]): Finding {
  if (failures.length === 0) return ['names-not-resolved', undefined];
  const shown = failures.slice(0, SHOWN_NAMES).map(({ name, because }) => `${name} (${because})`);
  const more = failures.length > SHOWN_NAMES ? ` and ${failures.length - SHOWN_NAMES} more` : '';
  return ['names-not-resolved', { message: `names in rules that cannot be resolved: ${shown.join(', ')}${more}` }];
}

function ambiguous(inForce: InForce | undefined): Finding {
  if (inForce === undefined) return ['names-ambiguous', undefined];
  const { policySet, snapshot } = inForce;
  const found = policySet.apps.flatMap((policy) =>
    namesHosts(policy)
      ? ambiguousNames(policy, snapshot.facts.names, Date.now()).map((one) => ({ ...one, app: policy.app }))
      : [],
  );
  if (found.length === 0) return ['names-ambiguous', undefined];
  const shown = found
    .slice(0, SHOWN_NAMES)
    .map(({ app, address, names: shared }) => `${formatAddress(address)} is ${shared.join(' and ')} (${app})`);
  const more = found.length > SHOWN_NAMES ? ` and ${found.length - SHOWN_NAMES} more` : '';
  const message = `names that rules treat differently share an address: ${shown.join(', ')}${more}`;
  return ['names-ambiguous', { message, hint: 'connections do not say which is meant: the first rule decides' }];
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
