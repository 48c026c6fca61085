/** How the kernel would come to a decision: follows what the compiler makes of the same input. */
import { nameAtPath } from '../kernel/file-name.ts';
import { howTold, type IdentityInput } from '../plan/compile-identity.ts';
import type { Host } from '../plan/host.ts';
import type { DecideContext } from '../policy/decide.ts';
import { servesNamespace } from '../policy/decide.ts';
import type { PolicySet } from '../policy/effective-policy.ts';
import type { Subject } from '../policy/explain.ts';
import { type AppMatch, matchApp } from '../policy/match-app.ts';
import { weighsUserModeNetworks } from '../policy/policies-behind.ts';
import { speaksOfUsers } from '../policy/told-by.ts';

export interface KernelPathSources {
  readonly context: DecideContext;
  readonly host: Host;
}

type MatchKind = AppMatch['match']['kind'];

/** The kernel's maps, by the `match` entry that they lead to. */
const MAP_OF: Readonly<Record<MatchKind, string>> = {
  script: 'program',
  exec: 'program',
  package: 'program',
  children: 'program',
  cgroup: 'cgroup',
  unit: 'cgroup',
  container: 'cgroup',
  flatpak: 'cgroup',
  snap: 'cgroup',
  desktop: 'cgroup',
  user: 'user',
  group: 'group',
  // Nothing is remembered of it in a map.
  kernel: 'kernel',
};

const NOT_MARKED = 'because sockets are not marked here and policies name what the ruleset cannot see';
const NAMESAKE =
  'first packet goes to the daemon, because the program is called as one that a policy names; from then on decided in the kernel (default)';

const SERVER =
  'each connection goes to the daemon, because it is user-mode networking; the kernel remembers the answer for as long as it lasts';

const OF_KERNEL =
  'first packet goes to the daemon, because no process sends it, where policies may say something of it; the kernel remembers the answer';

/** Of a connection that goes out: see `compileIdentity`. */
export function outboundPath(sources: KernelPathSources, subject: Subject): string {
  if (isServer(sources.context, subject)) return SERVER;
  const match = matchOf(sources.context, subject);
  if (match === 'kernel' || (subject.kind === 'owner' && subject.owner.kind === 'kernel')) return OF_KERNEL;
  const map = match === undefined ? 'default' : `${MAP_OF[match]} map`;
  switch (howTold(identityInput(sources))) {
    case 'directly':
      return `decided in the kernel (${map})`;
    case 'by program':
      return match === undefined && isNamesake(sources.context, subject) ? NAMESAKE : `decided in the kernel (${map})`;
    case 'asked':
      return `first packet goes to the daemon, ${NOT_MARKED}; the kernel remembers the answer`;
  }
}

/** Of a connection that comes in: see `compileInbound`. */
export function inboundPath(sources: KernelPathSources, subject: Subject, isLoopback: boolean): string {
  const { context } = sources;
  if (!governsInbound(context.policySet)) return 'nothing in the kernel looks at it, because nobody states an accept';
  if (isLoopback) return 'decided in the kernel (loopback)';
  const told = howTold(identityInput(sources));
  if (told === 'asked') return `first packet goes to the daemon, ${NOT_MARKED}; the kernel remembers the answer`;
  const match = matchOf(context, subject);
  const map = match === undefined ? undefined : MAP_OF[match];
  if (map === 'program' || map === 'cgroup') return `decided in the kernel (${map} map)`;
  // Nothing in a packet that comes in tells the user of the socket.
  if (speaksOfUsers(context.index)) {
    return 'first packet goes to the daemon, because policies name users, whom a packet that comes in does not tell; the kernel remembers the answer';
  }
  return told === 'by program' && isNamesake(context, subject) ? NAMESAKE : 'decided in the kernel (default)';
}

/** A blocked application accepts nobody. */
const governsInbound = ({ apps, systemDefault }: PolicySet): boolean =>
  systemDefault.accept !== undefined ||
  apps.some(({ accept, blocked }) => accept !== undefined || blocked !== undefined);

function identityInput({ context: { index, policySet, facts }, host }: KernelPathSources): IdentityInput {
  return { policySet, index, facts, host, parts: new Map(), appIds: new Map() };
}

function matchOf({ index, facts }: DecideContext, subject: Subject): MatchKind | undefined {
  if (subject.kind === 'app') return subject.policy.match[0]?.kind;
  return subject.owner.kind === 'process' ? matchApp(index, subject.owner, facts)?.match.kind : undefined;
}

function isServer({ index, facts, policySet }: DecideContext, subject: Subject): boolean {
  if (subject.kind === 'app' || subject.owner.kind !== 'process' || !weighsUserModeNetworks(policySet)) return false;
  return servesNamespace(subject.owner, matchApp(index, subject.owner, facts));
}

/** As far as paths tell: the kernel also counts what a link at a path leads to (`daemon/told-names.ts`). */
function isNamesake({ index }: DecideContext, subject: Subject): boolean {
  const path = subject.kind === 'owner' && subject.owner.kind === 'process' ? subject.owner.executable : undefined;
  if (path === undefined) return false;
  const name = nameAtPath(path);
  for (const named of index.byExecutable.keys()) if (nameAtPath(named) === name) return true;
  return false;
}
