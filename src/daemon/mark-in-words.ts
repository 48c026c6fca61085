/** What a mark says, for people. Pure. */
import type { MarkEvidence, ProgramEvidence } from '../api/who.ts';
import { formatMark } from '../net/mark.ts';
import { readMark } from '../plan/flow-mark.ts';
import type { Programs } from '../plan/host.ts';
import {
  APP_CODE_FIRST,
  APP_DAEMON,
  APP_INBOUND,
  APP_KERNEL,
  APP_NONE,
  APP_SERVED,
  APP_UNKNOWN,
  FOREIGN_MARKS,
  MARK_ASK_AGAIN,
  MARK_OURS,
  MARK_SOCKET,
  MARK_WAY,
  PROGRAM_DAEMON,
  PROGRAM_NONE_FIRST,
  UPLINK_INBOUND,
  UPLINK_LOCAL,
  UPLINK_NONE,
  UPLINK_SYSTEM,
} from '../plan/reserved.ts';

/** What the numbers in marks stand for. */
export interface MarkNumbers {
  readonly apps: ReadonlyMap<string, number>;
  readonly uplinks: ReadonlyMap<string, number>;
  readonly programs: Programs;
}

/** Of a connection or a packet, or of a socket. */
export function markInWords(mark: number, numbers: MarkNumbers): MarkEvidence {
  const head = { mark: formatMark(mark) };
  const foreign = FOREIGN_MARKS.find((known) => known.mark === mark);
  if (foreign !== undefined) return { ...head, meaning: `a mark of ${foreign.owner}` };
  if ((mark & MARK_OURS) === 0) return { ...head, meaning: notOurs(mark) };
  const { appId, way } = readMark(mark);
  if ((mark & MARK_SOCKET) !== 0) return { ...head, ...ofSocket(appId & ~MARK_SOCKET, way, numbers) };
  return { ...head, ...ofConnection(appId, way, numbers) };
}

function notOurs(mark: number): string {
  if (mark === 0) return 'not decided, and nobody’s';
  const asksAgain = (mark & MARK_WAY) >>> 0 === MARK_ASK_AGAIN;
  return asksAgain ? 'not decided any more: its next packet is asked about' : 'not decided; a mark of somebody else';
}

function ofConnection(
  number: number,
  way: number,
  { apps, uplinks }: MarkNumbers,
): Pick<MarkEvidence, 'meaning' | 'app' | 'way'> {
  const app = nameOf(apps, number);
  const who = app ?? WITHOUT_APP.get(number) ?? `application ${number}, which has gone`;
  if (number >= APP_CODE_FIRST)
    return { meaning: `a packet on its way to be decided (code ${number - APP_CODE_FIRST})` };
  const named = app === undefined ? {} : { app };
  if (way === UPLINK_NONE) return { meaning: `${who}: refused since its permission ended`, ...named, way: 'refused' };
  if (way === UPLINK_INBOUND) return { meaning: `${who}, it came in`, ...named, way: 'came in' };
  const text = wayInWords(way, uplinks);
  return { meaning: `${who}, by ${text}`, ...named, way: text };
}

const WITHOUT_APP: ReadonlyMap<number, string> = new Map([
  [APP_NONE, 'no policy'],
  [APP_UNKNOWN, 'a program that was not found'],
  [APP_KERNEL, 'the kernel itself'],
  [APP_DAEMON, 'the daemon itself'],
  [APP_INBOUND, 'came in before the daemon started'],
  [APP_SERVED, 'user-mode networking'],
]);

function wayInWords(way: number, uplinks: ReadonlyMap<string, number>): string {
  if (way === UPLINK_SYSTEM) return 'the system’s route';
  if (way === UPLINK_LOCAL) return 'direct connection';
  const name = nameOf(uplinks, way);
  return name === undefined ? `uplink ${way}, which has gone` : `uplink ${name}`;
}

function ofSocket(number: number, way: number, numbers: MarkNumbers): Omit<MarkEvidence, 'mark'> {
  const program = programEvidence(number, numbers.programs);
  const { meaning } = program;
  if (way === UPLINK_SYSTEM) return { meaning, program };
  const text = way === UPLINK_NONE ? 'refused' : wayInWords(way, numbers.uplinks);
  return { meaning: `${meaning}, first routed by ${text}`, program, way: text };
}

export function programEvidence(number: number, { numbers, none }: Programs): ProgramEvidence {
  const name = nameOf(numbers, number);
  if (name !== undefined) return { number, name, meaning: `program ${number}, ${name}` };
  return { number, meaning: withoutName(number, none) };
}

function withoutName(number: number, none: number): string {
  if (number === 0) return 'no program that was known';
  if (number === PROGRAM_DAEMON) return 'the daemon itself';
  if (number < PROGRAM_NONE_FIRST) return `program ${number}, which no policy names any more`;
  return number === none ? 'a program that no policy names' : 'a program that no policy named before the last change';
}

function nameOf(numbers: ReadonlyMap<string, number>, wanted: number): string | undefined {
  for (const [name, number] of numbers) if (number === wanted) return name;
  return undefined;
}
