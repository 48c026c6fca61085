import type { MonotonicMs } from '../../net/clock.ts';
import { ERESTART } from '../../netlink/uapi.ts';
import type { NftCommand } from '../../plan/nft/command.ts';
import type { MapElement, Ruleset, SetElement } from '../../plan/nft/ruleset.ts';
import { PANIC_TABLE, TABLE } from '../../plan/reserved.ts';
import { kernelErrorFromErrno } from '../errno.ts';
import { type Nft, type ObservedTable, printOf, type SetAddition } from '../kernel.ts';
import { PANIC_CHAINS } from '../panic-table.ts';
import type { FailurePlan } from './failure-plan.ts';
import { elementText, FakeTable, mapElementText } from './fake-table.ts';

export interface FakeNftOptions {
  readonly failures: FailurePlan;
  readonly hasQueue: boolean;
  /** The wall clock by which elements expire. */
  readonly nowMs: () => MonotonicMs;
}

const isCgroupCommand = (command: NftCommand): boolean =>
  (command.kind === 'add map elements' || command.kind === 'delete map elements') && command.map.key === 'cgroupsv2';

export class FakeNft implements Nft {
  readonly #options: FakeNftOptions;
  #tables: ReadonlyMap<string, FakeTable> = new Map();
  #generation = 1;

  constructor(options: FakeNftOptions) {
    this.#options = options;
  }

  async apply(commands: readonly NftCommand[], _nowMs: MonotonicMs): Promise<void> {
    const text = commands.filter((command) => !isCgroupCommand(command));
    const elements = commands.filter(isCgroupCommand);
    if (text.length > 0) this.#commit(text, 'nft apply');
    if (elements.length > 0) this.#commit(elements, 'nft elements');
  }

  refreshElements(additions: readonly SetAddition[], _nowMs: MonotonicMs, at: number): number {
    if (additions.length === 0) return at;
    if (at !== this.#generation) throw kernelErrorFromErrno('refresh elements', ERESTART, TABLE);
    const commands = additions.flatMap(({ set, elements }): NftCommand[] => [
      { kind: 'add elements', set, elements },
      { kind: 'delete elements', set, elements },
      { kind: 'add elements', set, elements },
    ]);
    this.#commit(commands, 'nft elements');
    return this.#generation;
  }

  numbersIn(name: string): readonly number[] {
    const { sets, maps } = this.ruleset(TABLE) ?? { sets: new Map(), maps: new Map() };
    const elements = sets.get(name)?.elements ?? [];
    const users = elements.flatMap(({ key: [part] }: SetElement) =>
      part === undefined || typeof part === 'string' ? [] : [Number(part.first)],
    );
    return [...users, ...(maps.get(name)?.elements ?? []).map(({ key }: MapElement) => Number(key))];
  }

  async check(commands: readonly NftCommand[], _nowMs: MonotonicMs): Promise<void> {
    this.#options.failures.check('nft check');
    this.#evaluate(commands.filter((command) => !isCgroupCommand(command)));
  }

  #commit(commands: readonly NftCommand[], operation: 'nft apply' | 'nft elements'): void {
    this.#options.failures.check(operation);
    this.#tables = this.#evaluate(commands);
    this.#generation += 1;
  }

  /** On a copy, so that a refusal leaves everything as it was. */
  #evaluate(commands: readonly NftCommand[]): ReadonlyMap<string, FakeTable> {
    const tables = new Map([...this.#tables].map(([name, table]) => [name, table.clone()]));
    for (const command of commands) {
      if (command.kind === 'replace table') tables.set(command.ruleset.table, FakeTable.load(command.ruleset));
      else if (command.kind === 'delete table') tables.delete(command.table);
      else ownTable(tables, command).run(command);
    }
    return tables;
  }

  async observe(table: string): Promise<ObservedTable | undefined> {
    this.#options.failures.check('nft observe');
    const found = this.#tables.get(table);
    if (found === undefined) return undefined;
    const nowMs = this.#options.nowMs();
    const alive = ({ expiresAtMs }: { readonly expiresAtMs?: number }) =>
      expiresAtMs === undefined || expiresAtMs > nowMs;
    const lasting = (elements: Iterable<SetElement>): readonly SetElement[] =>
      [...elements].filter(({ expiresAtMs }) => expiresAtMs === undefined);
    const prints = new Map<string, string>();
    for (const [name, { definition, handles }] of found.chains) {
      prints.set(printOf.chain(name), JSON.stringify(definition.hook ?? null));
      prints.set(printOf.rules(name), handles.join());
    }
    for (const [name, { elements }] of found.sets)
      prints.set(printOf.elements(name), lasting(elements.values()).map(elementText).sort().join());
    for (const [name, { elements }] of found.maps)
      prints.set(printOf.elements(name), [...elements.values()].map(mapElementText).sort().join());
    return {
      prints,
      lasting: new Map([...found.sets].map(([name, { elements }]) => [name, lasting(elements.values()).length])),
      chains: new Map([...found.chains].map(([name, { rules }]) => [name, rules.length])),
      sets: new Map([...found.sets].map(([name, { elements }]) => [name, [...elements.values()].filter(alive).length])),
      maps: new Map([...found.maps].map(([name, { elements }]) => [name, elements.size])),
    };
  }

  async supports(_feature: 'queue'): Promise<boolean> {
    return this.#options.hasQueue;
  }

  async loadPanicTable(): Promise<void> {
    this.#options.failures.check('nft apply');
    const table = new FakeTable(PANIC_TABLE);
    for (const { name, rules } of PANIC_CHAINS) {
      table.addChain({ name, rules: [] });
      // What they say is text for nft; that they are there is what can be observed.
      for (const _ of rules) table.addRule(name, { expressions: [] });
    }
    this.#tables = new Map([...this.#tables, [PANIC_TABLE, table]]);
    this.#generation += 1;
  }

  generation(): number {
    return this.#generation;
  }

  /** What somebody else's `nft flush ruleset` does. */
  flushRuleset(): void {
    this.#tables = new Map();
    this.#generation += 1;
  }

  /** The table as it now is, for a test to compare or to trace. */
  ruleset(table: string): Ruleset | undefined {
    const found = this.#tables.get(table);
    if (found === undefined) return undefined;
    const named = <T, R>(objects: ReadonlyMap<string, T>, convert: (object: T) => R): Map<string, R> =>
      new Map([...objects].map(([name, object]) => [name, convert(object)]));
    return {
      table,
      chains: named(found.chains, ({ definition, rules }) => ({ ...definition, rules })),
      sets: named(found.sets, ({ definition, elements }) => ({ ...definition, elements: [...elements.values()] })),
      maps: named(found.maps, ({ definition, elements }) => ({ ...definition, elements: [...elements.values()] })),
    };
  }
}

/** As in the text form: a block that adds an object makes its table, everything else needs it. */
function ownTable(tables: Map<string, FakeTable>, command: NftCommand): FakeTable {
  const present = tables.get(TABLE);
  if (present !== undefined) return present;
  const table = new FakeTable(TABLE);
  if (command.kind === 'add chain' || command.kind === 'add set' || command.kind === 'add map')
    tables.set(TABLE, table);
  return table;
}
