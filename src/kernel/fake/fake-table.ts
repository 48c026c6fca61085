/** One nftables table in memory, with the refusals that the kernel has for each command. */

import { constants } from 'node:os';
import type { ObjectCommand } from '../../plan/nft/command.ts';
import type {
  Chain,
  Expression,
  Interval,
  MapElement,
  NftMap,
  NftSet,
  Rule,
  Ruleset,
  SetElement,
  Verdict,
} from '../../plan/nft/ruleset.ts';
import { kernelErrorFromErrno } from '../errno.ts';

interface FakeSet {
  readonly definition: NftSet;
  readonly elements: Map<string, SetElement>;
}

interface FakeMap {
  readonly definition: NftMap;
  readonly elements: Map<bigint, MapElement>;
}

interface FakeChain {
  readonly definition: Chain;
  readonly rules: Rule[];
  /** Of each rule, as the kernel gives it. */
  readonly handles: number[];
}

let lastHandle = 0;

const refuse = (code: 'ENOENT' | 'EEXIST' | 'EBUSY', object: string): never => {
  throw kernelErrorFromErrno('nft', constants.errno[code], object);
};

export class FakeTable {
  readonly name: string;
  readonly chains: Map<string, FakeChain> = new Map();
  readonly sets: Map<string, FakeSet> = new Map();
  readonly maps: Map<string, FakeMap> = new Map();

  constructor(name: string) {
    this.name = name;
  }

  /** A whole ruleset at once: references may point forward. Elements of cgroup maps are left out. */
  static load(ruleset: Ruleset): FakeTable {
    const table = new FakeTable(ruleset.table);
    for (const set of ruleset.sets.values()) table.addSet(set);
    for (const map of ruleset.maps.values()) table.addMap(map);
    for (const chain of ruleset.chains.values()) table.addChain(chain);
    for (const chain of ruleset.chains.values()) for (const rule of chain.rules) table.addRule(chain.name, rule);
    for (const map of ruleset.maps.values()) {
      if (map.data === 'verdict' && map.key !== 'cgroupsv2') table.addMapElements(map, map.elements);
    }
    return table;
  }

  clone(): FakeTable {
    const copy = new FakeTable(this.name);
    for (const [name, { definition, rules, handles }] of this.chains)
      copy.chains.set(name, { definition, rules: [...rules], handles: [...handles] });
    for (const [name, { definition, elements }] of this.sets) {
      copy.sets.set(name, { definition, elements: new Map(elements) });
    }
    for (const [name, { definition, elements }] of this.maps) {
      copy.maps.set(name, { definition, elements: new Map(elements) });
    }
    return copy;
  }

  run(command: ObjectCommand): void {
    switch (command.kind) {
      case 'add chain':
        this.addChain(command.chain);
        break;
      case 'flush chain':
        this.#flushChain(command.chain);
        break;
      case 'delete chain':
        this.#deleteChain(command.chain);
        break;
      case 'add rule':
        this.addRule(command.chain, command.rule);
        break;
      case 'add set':
        this.addSet(command.set);
        break;
      case 'flush set':
        this.#set(command.set).elements.clear();
        break;
      case 'delete set':
        this.#set(command.set);
        this.#deleteNamed(this.sets, command.set);
        break;
      case 'add map':
        this.addMap(command.map);
        break;
      case 'delete map':
        this.#map(command.map);
        this.#deleteNamed(this.maps, command.map);
        break;
      case 'add elements':
        this.#addElements(command.set.name, command.elements);
        break;
      case 'delete elements':
        this.#deleteElements(command.set.name, command.elements);
        break;
      case 'add map elements':
        this.addMapElements(command.map, command.elements);
        break;
      case 'delete map elements':
        this.#deleteMapElements(command.map, command.elements);
        break;
    }
  }

  addChain(definition: Chain): void {
    if (!this.chains.has(definition.name)) this.chains.set(definition.name, { definition, rules: [], handles: [] });
  }

  #flushChain(name: string): void {
    const { rules, handles } = this.#chain(name);
    rules.length = 0;
    handles.length = 0;
  }

  addRule(chain: string, rule: Rule): void {
    const { rules, handles } = this.#chain(chain);
    for (const expression of rule.expressions) {
      if (expression.kind === 'lookup') this.#set(expression.set);
      if (expression.kind === 'vmap' || expression.kind === 'map mark') this.#map(expression.map);
      for (const verdict of verdictsOf(expression)) this.#requireTarget(verdict);
    }
    rules.push(rule);
    lastHandle += 1;
    handles.push(lastHandle);
  }

  addSet(definition: NftSet): void {
    const present = this.sets.get(definition.name);
    if (present !== undefined && shape(present.definition) !== shape(definition)) refuse('EEXIST', definition.name);
    if (present === undefined) this.sets.set(definition.name, { definition, elements: new Map() });
    this.#addElements(definition.name, definition.elements);
  }

  addMap(definition: NftMap): void {
    const present = this.maps.get(definition.name);
    if (present !== undefined && shape(present.definition) !== shape(definition)) refuse('EEXIST', definition.name);
    if (present === undefined) this.maps.set(definition.name, { definition, elements: new Map() });
    // As rendered: verdicts follow once their chains exist, cgroups by netlink.
    if (definition.data === 'mark' && definition.key !== 'cgroupsv2')
      this.addMapElements(definition, definition.elements);
  }

  addMapElements({ name }: NftMap, added: readonly MapElement[]): void {
    const { elements } = this.#map(name);
    for (const element of added) {
      if (element.data.kind === 'verdict') this.#requireTarget(element.data.verdict);
      const present = elements.get(element.key);
      if (present !== undefined && dataText(present) !== dataText(element)) refuse('EEXIST', `${name} ${element.key}`);
      elements.set(element.key, element);
    }
  }

  #deleteMapElements({ name }: NftMap, deleted: readonly MapElement[]): void {
    const { elements } = this.#map(name);
    for (const { key } of deleted) if (!elements.delete(key)) refuse('ENOENT', `${name} ${key}`);
  }

  #addElements(name: string, added: readonly SetElement[]): void {
    const { elements, definition } = this.#set(name);
    for (const element of added) {
      const key = elementText(element);
      const overlaps = (other: SetElement): boolean => elementText(other) !== key && overlap(other, element);
      const interval = definition.flags.includes('interval');
      if (interval && [...elements.values()].some(overlaps)) refuse('EEXIST', `${name} ${key}`);
      elements.set(key, element);
    }
  }

  #deleteElements(name: string, deleted: readonly SetElement[]): void {
    const { elements } = this.#set(name);
    for (const element of deleted)
      if (!elements.delete(elementText(element))) refuse('ENOENT', `${name} ${elementText(element)}`);
  }

  #deleteChain(name: string): void {
    this.#chain(name);
    const byRule = this.#rules().some(({ expressions }) =>
      expressions.flatMap(verdictsOf).some((verdict) => targetOf(verdict) === name),
    );
    const byElement = [...this.maps.values()].some(({ elements }) =>
      [...elements.values()].some(({ data }) => data.kind === 'verdict' && targetOf(data.verdict) === name),
    );
    if (byRule || byElement) refuse('EBUSY', name);
    this.chains.delete(name);
  }

  #deleteNamed(objects: Map<string, unknown>, name: string): void {
    const used = this.#rules().some(({ expressions }) =>
      expressions.some(
        (expression) =>
          (expression.kind === 'lookup' && expression.set === name) ||
          ((expression.kind === 'vmap' || expression.kind === 'map mark') && expression.map === name),
      ),
    );
    if (used) refuse('EBUSY', name);
    objects.delete(name);
  }

  #rules(): readonly Rule[] {
    return [...this.chains.values()].flatMap(({ rules }) => rules);
  }

  #requireTarget(verdict: Verdict): void {
    const target = targetOf(verdict);
    if (target !== undefined) this.#chain(target);
  }

  #chain(name: string): FakeChain {
    return this.chains.get(name) ?? refuse('ENOENT', name);
  }

  #set(name: string): FakeSet {
    return this.sets.get(name) ?? refuse('ENOENT', name);
  }

  #map(name: string): FakeMap {
    return this.maps.get(name) ?? refuse('ENOENT', name);
  }
}

const targetOf = (verdict: Verdict): string | undefined =>
  verdict.kind === 'jump' || verdict.kind === 'goto' ? verdict.chain : undefined;

const shape = (definition: NftSet | NftMap): string =>
  'flags' in definition
    ? `set ${definition.key.join('.')} ${definition.flags.join()}`
    : `map ${definition.key} ${definition.data}`;

const verdictsOf = (expression: Expression): readonly Verdict[] => {
  if (expression.kind === 'hash vmap') return expression.elements.map(({ verdict }) => verdict);
  return expression.kind === 'verdict' ? [expression.verdict] : [];
};

const dataText = ({ data }: MapElement): string =>
  data.kind === 'mark' ? `${data.mark}` : `${data.verdict.kind} ${targetOf(data.verdict) ?? ''}`;

const partText = (part: Interval | string): string => (typeof part === 'string' ? part : `${part.first}-${part.last}`);

export const mapElementText = (element: MapElement): string => `${element.key} ${dataText(element)}`;

export const elementText = ({ key }: SetElement): string => key.map(partText).join(' . ');

/** Concatenations overlap where all their parts do. */
function overlap(a: SetElement, b: SetElement): boolean {
  return a.key.every((part, index) => {
    const other = b.key[index];
    if (typeof part === 'string' || typeof other === 'string' || other === undefined) return part === other;
    return part.first <= other.last && other.first <= part.last;
  });
}
