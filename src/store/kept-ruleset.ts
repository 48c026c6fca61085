/**
 * The ruleset in force, in /run, for the daemon after this one: with it that one changes what differs, instead of loading the whole table anew.
 * Whether it is still what the table holds the table's seal tells.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import type { Ruleset } from '../plan/nft/ruleset.ts';
import { sealOf } from '../plan/nft/seal.ts';
import { writeAtomically } from './atomic-write.ts';
import type { Paths } from './paths.ts';

const RULESET = 'ruleset-in-force';
const PRINT = 'ruleset-print';

/** Nothing is in force any more. */
export function forgetRuleset(runDir: string): void {
  for (const name of [RULESET, PRINT]) {
    try {
      rmSync(join(runDir, name), { force: true });
    } catch {
      // Ignoring it: without a table that has its seal nobody believes it.
    }
  }
}

export class KeptRuleset {
  readonly #path: string;
  readonly #version: string;
  readonly #printPath: string;
  #kept: Ruleset | undefined;
  #keptPrint = '';

  /** `version`: of the program, as another one may mean something else by the same data. */
  constructor({ runDir }: Pick<Paths, 'runDir'>, version: string) {
    this.#path = join(runDir, RULESET);
    this.#printPath = join(runDir, PRINT);
    this.#version = version;
  }

  /** `undefined` where there is none that can be used. */
  read(): Ruleset | undefined {
    try {
      const { version, ruleset } = deserialize(readFileSync(this.#path)) as { version: string; ruleset: Ruleset };
      if (version !== this.#version) return undefined;
      // Whatever it is, it can be rendered.
      sealOf(ruleset);
      return ruleset;
    } catch {
      // Ignoring it: the table is loaded anew then.
      return undefined;
    }
  }

  /** How the table looked with that in force; undefined where nobody has looked, or something else was in force then. */
  readPrint(ruleset: Ruleset): string | undefined {
    try {
      const [seal, print] = readFileSync(this.#printPath, 'utf8').split('\n');
      return seal === sealOf(ruleset).join() ? print : undefined;
    } catch {
      // Ignoring it: the table is loaded anew then.
      return undefined;
    }
  }

  keepPrint(ruleset: Ruleset, print: string): void {
    const text = `${sealOf(ruleset).join()}\n${print}\n`;
    if (text === this.#keptPrint) return;
    this.#keptPrint = text;
    try {
      writeAtomically(this.#printPath, Buffer.from(text), { until: 'cache' });
    } catch {
      // Ignoring it: what is there then is not the print of the table.
    }
  }

  keep(ruleset: Ruleset): void {
    if (ruleset === this.#kept) return;
    this.#kept = ruleset;
    try {
      writeAtomically(this.#path, serialize({ version: this.#version, ruleset }), { until: 'cache' });
    } catch {
      // Ignoring it: what is there then has not the seal of the table.
    }
  }
}
