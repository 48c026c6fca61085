/**
 * Whether the kernel does what policies say: the daemon sends as programs of policies do, and counts what comes to the end of everything
 * that could refuse it. What comes there is dropped: nothing leaves, also where our own table is gone.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { CheckedTier, SelfCheckReport } from '../api/self-check.ts';
import type { CheckTable } from '../kernel/check-table.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { checkPriority } from '../plan/reserved.ts';
import type { Question } from './self-check-questions.ts';

/** Until what has to be asked about has been answered, and a little longer for what is not to come. */
const ARRIVED_WITHIN_MS = 2000;
const LOOK_MS = 100;

export interface SelfCheckParts {
  readonly table: CheckTable;
  /** Counts every change of the ruleset, whoever makes it. */
  readonly generation: () => number;
  /** One datagram; an errno's name where the kernel refuses it, `undefined` where it took it. */
  readonly send: (question: Question, priority: number) => string | undefined;
  /** Nobody wants to know any more. */
  readonly isStopped: () => boolean;
}

/** Why there is no way at all: nothing was tried then. */
const NO_WAY: readonly string[] = ['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EINVAL', 'ENETDOWN'];

/** Throws KernelError. */
export async function checkSelf(questions: readonly Question[], parts: SelfCheckParts): Promise<SelfCheckReport> {
  const { table, generation, send, isStopped } = parts;
  const asked = questions.filter(({ passes }) => passes !== undefined);
  if (asked.length === 0)
    return { tiers: questions.map((question) => notTried(question, 'the policy waits for something')) };
  await table.load(asked.length);
  try {
    const loaded = generation();
    if ((await table.counts()) === undefined) return notDone('somebody removed what would count');
    const refusals = new Map<Question, string>();
    for (const [i, question] of asked.entries()) {
      // Where somebody changes the ruleset nothing is sent: the rule that keeps it here may have gone.
      if (generation() !== loaded) return notDone('somebody changes the ruleset at the moment');
      const refusal = send(question, checkPriority(i + 1));
      if (refusal !== undefined) refusals.set(question, refusal);
    }
    const isTried = (question: Question): boolean => !NO_WAY.includes(refusals.get(question) ?? '');
    const counts = await countsAtEnd(asked, table, (question) => isTried(question) && !isStopped());
    if (isStopped()) return notDone('the daemon stops');
    if (counts === undefined) return notDone('somebody removed what counts');
    const found = new Map(asked.map((question, i) => [question, counts.get(i + 1) ?? 0]));
    return {
      tiers: questions.map((question) => {
        const came = found.get(question);
        if (came === undefined) return notTried(question, 'the policy waits for something');
        if (!isTried(question)) return notTried(question, `there is no way to it (${refusals.get(question)})`);
        return compared(question, came, refusals.get(question));
      }),
    };
  } finally {
    await table.empty();
  }
}

const notDone = (because: string): SelfCheckReport => ({ tiers: [], notDone: because });

/** As soon as all have come that are to come; what is not to come has had as long. */
async function countsAtEnd(
  asked: readonly Question[],
  table: CheckTable,
  isTried: (question: Question) => boolean,
): Promise<ReadonlyMap<number, number> | undefined> {
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    await delay(LOOK_MS);
    const counts = await table.counts();
    const isOver = asked.every(
      (question, i) => question.passes !== true || !isTried(question) || (counts?.get(i + 1) ?? 0) > 0,
    );
    if (counts === undefined || isOver || waitedMs >= ARRIVED_WITHIN_MS) return counts;
  }
}

function head({ as, app, text }: Question): Pick<CheckedTier, 'as' | 'app' | 'destination'> {
  return { as, ...(app !== undefined && { app }), destination: text };
}

const notTried = (question: Question, because: string): CheckedTier => ({
  ...head(question),
  outcome: 'not tried',
  found: because,
});

function compared(question: Question, came: number, refusal: string | undefined): CheckedTier {
  const isSame = question.passes === came > 0;
  const says = question.passes ? 'the policy lets it out' : 'the policy refuses it';
  const did =
    came > 0 ? 'it came to the end' : `it did not come to the end${refusal === undefined ? '' : ` (${refusal})`}`;
  return { ...head(question), outcome: isSame ? 'as the policy says' : 'difference', found: `${says}, and ${did}` };
}

/** `ENETUNREACH` and the like. Throws what is no KernelError. */
export function refusalOf(send: () => void): string | undefined {
  try {
    send();
    return undefined;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return error.code;
  }
}
