/**
 * From what the kernel holds to what it should hold, in an order in which nothing that is used is missing: routes before
 * the rules that lead to them, both before the marks that select them; what is no longer used goes last.
 */
import type { Change } from './change.ts';
import { CHAIN } from './compile-app.ts';
import type { NftCommand } from './nft/command.ts';
import { goto, rule } from './nft/expressions.ts';
import { renderRule, renderVerdict } from './nft/render.ts';
import type { Chain, MapElement, NftMap, NftSet, Rule, Ruleset, SetElement } from './nft/ruleset.ts';
import { SEAL } from './nft/seal.ts';
import type { Plan, PlannedRoute, PlannedRule, XtablesQueue } from './plan.ts';
import { renderPlannedRoute, renderPlannedRule, renderXtablesQueue } from './render-routing.ts';

/** What is in force. `nft` is absent where our table is missing or is not what we believe it to be. */
export interface Observed {
  readonly nft?: Ruleset;
  readonly rules: readonly PlannedRule[];
  readonly routes: readonly PlannedRoute[];
  readonly xtablesQueue?: XtablesQueue;
  /** `undefined`: not known, so that they have to be set. */
  readonly socketWays: Plan['socketWays'] | undefined;
}

const queueText = (queue: XtablesQueue | undefined): string =>
  queue === undefined ? '' : renderXtablesQueue(queue).join();

function missing<T>(wanted: readonly T[], present: readonly T[], key: (item: T) => string): T[] {
  const keys = new Set(present.map(key));
  return wanted.filter((item) => !keys.has(key(item)));
}

const elementKey = (element: SetElement): string =>
  element.key.map((part) => (typeof part === 'string' ? part : `${part.first}-${part.last}`)).join('.');
const timedKey = (element: SetElement): string => `${elementKey(element)}@${element.expiresAtMs ?? ''}`;
const dataText = (data: MapElement['data']): string =>
  data.kind === 'mark' ? String(data.mark) : renderVerdict(data.verdict);

const chainText = (chain: Chain): string =>
  `${JSON.stringify(chain.hook ?? null)}\n${chain.rules.map(renderRule).join('\n')}`;
const shape = ({ key, flags }: NftSet): string => `${key.join('.')} ${flags.join()}`;

function diffSet(before: NftSet, after: NftSet): NftCommand[] {
  if (before.elements === after.elements) return [];
  if (after.flags.includes('timeout')) {
    const keys = new Set(before.elements.map(timedKey));
    const same =
      before.elements.length === after.elements.length &&
      after.elements.every((element) => keys.has(timedKey(element)));
    return same
      ? []
      : [
          { kind: 'flush set', set: after.name },
          { kind: 'add elements', set: after, elements: after.elements },
        ];
  }
  const gone = missing(before.elements, after.elements, elementKey);
  const come = missing(after.elements, before.elements, elementKey);
  return [
    ...(gone.length > 0 ? [{ kind: 'delete elements', set: after, elements: gone } as const] : []),
    ...(come.length > 0 ? [{ kind: 'add elements', set: after, elements: come } as const] : []),
  ];
}

const sameData = (a: MapElement['data'], b: MapElement['data']): boolean => a === b || dataText(a) === dataText(b);
const sameElement = (a: MapElement | undefined, b: MapElement | undefined): boolean =>
  a !== undefined && b !== undefined && a.key === b.key && sameData(a.data, b.data);

/** Without what both begin and end with: one application's change leaves thousands of elements where they were. */
function withoutSameEnds(
  before: readonly MapElement[],
  after: readonly MapElement[],
): { readonly before: readonly MapElement[]; readonly after: readonly MapElement[] } {
  const most = Math.min(before.length, after.length);
  let head = 0;
  while (head < most && sameElement(before[head], after[head])) head++;
  let tail = 0;
  while (tail < most - head && sameElement(before.at(-1 - tail), after.at(-1 - tail))) tail++;
  return { before: before.slice(head, before.length - tail), after: after.slice(head, after.length - tail) };
}

function diffMap(before: NftMap, after: NftMap): NftCommand[] {
  if (before.elements === after.elements) return [];
  const rest = withoutSameEnds(before.elements, after.elements);
  const old = new Map(rest.before.map(({ key, data }) => [key, data]));
  const come = rest.after.filter(({ key, data }) => {
    const was = old.get(key);
    if (was === undefined || !sameData(was, data)) return true;
    old.delete(key);
    return false;
  });
  const gone = [...old].map(([key, data]) => ({ key, data }));
  return [
    ...(gone.length > 0 ? [{ kind: 'delete map elements', map: after, elements: gone } as const] : []),
    ...(come.length > 0 ? [{ kind: 'add map elements', map: after, elements: come } as const] : []),
  ];
}

/** Sets that changed their shape under the same name cannot be altered: the whole table is loaded anew. */
function needsReload(before: Ruleset, after: Ruleset): boolean {
  if (before.table !== after.table) return true;
  for (const [name, set] of after.sets) {
    const old = before.sets.get(name);
    if (old !== undefined && shape(old) !== shape(set)) return true;
  }
  for (const [name, chain] of after.chains) {
    const old = before.chains.get(name);
    if (old !== undefined && JSON.stringify(old.hook) !== JSON.stringify(chain.hook)) return true;
  }
  return false;
}

function diffChains(
  before: Ruleset,
  after: Ruleset,
): { create: NftCommand[]; fill: NftCommand[]; flush: NftCommand[]; remove: NftCommand[] } {
  const create: NftCommand[] = [];
  const fill: NftCommand[] = [];
  const flush: NftCommand[] = [];
  const remove: NftCommand[] = [];
  for (const [name, chain] of after.chains) {
    const old = before.chains.get(name);
    if (old === chain || (old !== undefined && chainText(old) === chainText(chain))) continue;
    if (old === undefined) create.push({ kind: 'add chain', chain });
    else fill.push({ kind: 'flush chain', chain: name });
    fill.push(...chain.rules.map((r) => ({ kind: 'add rule', chain: name, rule: r }) as const));
  }
  for (const [name, { hook }] of before.chains) {
    if (after.chains.has(name)) continue;
    // Kernels before 6.16 remove a chain with the last of its devices.
    if (hook?.devices !== undefined) flush.push({ kind: 'add chain', chain: { name, rules: [] } });
    flush.push({ kind: 'flush chain', chain: name });
    remove.push({ kind: 'delete chain', chain: name });
  }
  return { create, fill, flush, remove };
}

const isCgroupCommand = (command: NftCommand): boolean =>
  (command.kind === 'add map elements' || command.kind === 'delete map elements') && command.map.key === 'cgroupsv2';

const seals = (command: NftCommand): boolean => command.kind === 'add map elements' && command.map.name === SEAL;

/** One atomic batch; three where cgroup elements change, which go apart and need their chains before and until after. */
function diffRuleset(before: Ruleset, after: Ruleset): NftCommand[][] {
  const chains = diffChains(before, after);
  const create: NftCommand[] = [];
  const update: NftCommand[] = [];
  const remove: NftCommand[] = [];
  for (const [name, set] of after.sets) {
    const old = before.sets.get(name);
    if (old === undefined) create.push({ kind: 'add set', set });
    else if (old !== set) update.push(...diffSet(old, set));
  }
  for (const [name, map] of after.maps) {
    const old = before.maps.get(name);
    if (old === undefined) {
      create.push({ kind: 'add map', map: { ...map, elements: [] } });
      if (map.elements.length > 0) update.push({ kind: 'add map elements', map, elements: map.elements });
    } else if (old !== map) update.push(...diffMap(old, map));
  }
  for (const name of before.sets.keys()) if (!after.sets.has(name)) remove.push({ kind: 'delete set', set: name });
  for (const name of before.maps.keys()) if (!after.maps.has(name)) remove.push({ kind: 'delete map', map: name });
  const apart = update.filter(isCgroupCommand);
  const others = update.filter((command) => !isCgroupCommand(command) && !seals(command));
  const first = [...create, ...chains.create, ...chains.fill, ...others];
  // Rules hold sets, maps and chains, and maps hold chains: whatever is still held cannot be deleted. It is sealed when all is there.
  const last = [...chains.flush, ...remove, ...chains.remove, ...update.filter(seals)];
  return (apart.length === 0 ? [[...first, ...last]] : [first, apart, last]).filter((batch) => batch.length > 0);
}

/**
 * A table with cgroup elements is loaded in three steps: as long as the elements, which go apart, are not there, whoever
 * is not found is held, not let go.
 */
function reload(wanted: Ruleset): Change[] {
  const filled = [...wanted.maps.values()].filter((map) => map.key === 'cgroupsv2' && map.elements.length > 0);
  if (filled.length === 0) return [{ kind: 'nft', commands: [{ kind: 'replace table', ruleset: wanted }] }];
  const held = new Set(filled.map(({ name }) => name));
  const needsElements = ({ expressions }: Rule): boolean =>
    expressions.some((expression) => expression.kind === 'vmap' && held.has(expression.map));
  const identify = [...wanted.chains.values()].filter(({ rules }) => rules.some(needsElements));
  const holding = new Map(wanted.chains);
  for (const { name } of identify) holding.set(name, { name, rules: [rule(goto(CHAIN.ask))] });
  const seal = wanted.maps.get(SEAL);
  const release = identify.flatMap((chain): NftCommand[] => [
    { kind: 'flush chain', chain: chain.name },
    ...chain.rules.map((r) => ({ kind: 'add rule', chain: chain.name, rule: r }) as const),
  ]);
  if (seal !== undefined) release.push({ kind: 'add map elements', map: seal, elements: seal.elements });
  const unsealed = seal === undefined ? wanted.maps : new Map(wanted.maps).set(SEAL, { ...seal, elements: [] });
  return [
    { kind: 'nft', commands: [{ kind: 'replace table', ruleset: { ...wanted, maps: unsealed, chains: holding } }] },
    { kind: 'nft', commands: filled.map((map) => ({ kind: 'add map elements', map, elements: map.elements })) },
    { kind: 'nft', commands: release },
  ];
}

function nftChanges(before: Ruleset | undefined, after: Ruleset): Change[] {
  if (before === undefined || needsReload(before, after)) return reload(after);
  return diffRuleset(before, after).map((commands) => ({ kind: 'nft', commands }));
}

function waysDiffer(before: Plan['socketWays'] | undefined, after: Plan['socketWays']): boolean {
  if (before?.size !== after.size) return true;
  for (const [number, { v4, v6 }] of after) {
    const old = before.get(number);
    if (old?.v4 !== v4 || old.v6 !== v6) return true;
  }
  return false;
}

export function diff(observed: Observed, wanted: Plan): Change[] {
  const queueChanged = queueText(observed.xtablesQueue) !== queueText(wanted.xtablesQueue);
  return [
    ...missing(wanted.routes, observed.routes, renderPlannedRoute).map(
      (route): Change => ({ kind: 'add route', route }),
    ),
    ...missing(wanted.rules, observed.rules, renderPlannedRule).map((r): Change => ({ kind: 'add rule', rule: r })),
    ...(queueChanged && wanted.xtablesQueue !== undefined
      ? [{ kind: 'add xtables queue', queue: wanted.xtablesQueue } as const]
      : []),
    ...nftChanges(observed.nft, wanted.nft),
    ...(waysDiffer(observed.socketWays, wanted.socketWays)
      ? [{ kind: 'set socket ways', ways: wanted.socketWays } as const]
      : []),
    ...(queueChanged && observed.xtablesQueue !== undefined
      ? [{ kind: 'delete xtables queue', queue: observed.xtablesQueue } as const]
      : []),
    ...missing(observed.rules, wanted.rules, renderPlannedRule).map((r): Change => ({ kind: 'delete rule', rule: r })),
    ...missing(observed.routes, wanted.routes, renderPlannedRoute).map(
      (route): Change => ({ kind: 'delete route', route }),
    ),
  ];
}
