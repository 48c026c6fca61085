import { describe, expect, it } from 'vitest';
import type { CheckTable } from '../kernel/check-table.ts';
import { parseAddress } from '../net/address.ts';
import { checkSelf, type SelfCheckParts } from './self-check.ts';
import type { Question } from './self-check-questions.ts';

const destination = parseAddress('192.0.2.249');
if (destination === undefined) throw new RangeError('no address');
const question = (as: string, passes: boolean | undefined): Question => ({
  as,
  passes,
  mark: 0,
  destination,
  text: 'there',
});

/** A kernel in which these come to the end. */
class Table implements CheckTable {
  readonly done: string[] = [];
  readonly #came = new Map<number, number>();
  isThere = false;

  async load(questions: number): Promise<void> {
    this.isThere = true;
    this.done.push(`load ${questions}`);
    for (let i = 1; i <= questions; i += 1) this.#came.set(i, 0);
  }

  async counts(): Promise<ReadonlyMap<number, number> | undefined> {
    return this.isThere ? this.#came : undefined;
  }

  async empty(): Promise<void> {
    this.isThere = false;
    this.done.push('empty');
  }

  arrive(number: number): void {
    this.#came.set(number, 1);
  }
}

interface World extends SelfCheckParts {
  readonly table: Table;
  readonly sent: string[];
}

function world(
  answer: (as: string) => string | undefined,
  options: Partial<Pick<SelfCheckParts, 'generation' | 'isStopped'>> = {},
): World {
  const table = new Table();
  const sent: string[] = [];
  return {
    table,
    sent,
    generation: () => 1,
    isStopped: () => false,
    send: ({ as }, priority) => {
      sent.push(as);
      const refusal = answer(as);
      if (refusal === undefined) table.arrive(priority & 0xffff);
      return refusal;
    },
    ...options,
  };
}

const outcomes = async (questions: readonly Question[], parts: World) =>
  (await checkSelf(questions, parts)).tiers.map(({ as, outcome, found }) => `${as}: ${outcome}: ${found}`);

describe('checkSelf', () => {
  it('checkSelf compares what policies say with what came to the end', async () => {
    const parts = world((as) => (as.startsWith('refused') ? 'EPERM' : as === 'nowhere' ? 'ENETUNREACH' : undefined));
    const questions = [
      question('let out', true),
      question('refused', false),
      question('refused wrongly', true),
      question('let out wrongly', false),
      question('nowhere', true),
      question('waits', undefined),
    ];
    expect(await outcomes(questions, parts)).toEqual([
      'let out: as the policy says: the policy lets it out, and it came to the end',
      'refused: as the policy says: the policy refuses it, and it did not come to the end (EPERM)',
      'refused wrongly: difference: the policy lets it out, and it did not come to the end (EPERM)',
      'let out wrongly: difference: the policy refuses it, and it came to the end',
      'nowhere: not tried: there is no way to it (ENETUNREACH)',
      'waits: not tried: the policy waits for something',
    ]);
    expect(parts.sent).not.toContain('waits');
    expect(parts.table.done).toEqual(['load 5', 'empty']);
  });

  it('checkSelf sends nothing more once somebody has changed the ruleset', async () => {
    let generation = 1;
    const parts = world(
      () => {
        generation += 1;
        return undefined;
      },
      { generation: () => generation },
    );
    const report = await checkSelf([question('first', true), question('second', true)], parts);
    expect(report).toEqual({ tiers: [], notDone: 'somebody changes the ruleset at the moment' });
    expect(parts.sent).toEqual(['first']);
    expect(parts.table.isThere).toBe(false);
  });

  it('checkSelf sends nothing where nobody would count', async () => {
    const parts = world(() => undefined);
    parts.table.load = async () => undefined;
    expect(await checkSelf([question('first', true)], parts)).toMatchObject({ notDone: expect.any(String) });
    expect(parts.sent).toEqual([]);
  });

  it('checkSelf does not hold up a stop, and leaves nothing', async () => {
    const parts = world(() => 'EPERM', { isStopped: () => true });
    expect(await checkSelf([question('never comes', true)], parts)).toEqual({ tiers: [], notDone: 'the daemon stops' });
    expect(parts.table.isThere).toBe(false);
  });
});
