/** What must not be in what a schedule's run left behind. */
import { erasOf, ofPort, portOf, type Row, type RowPolicy, type Schedule, type UplinkName } from './schedule.ts';

/** As the other end saw it come from the link. */
export interface Packet {
  readonly atUs: number;
  readonly uplink: UplinkName;
  readonly port: number;
  /** What a datagram says, or `syn`. */
  readonly id: string;
}

/** One attempt, as the sender lived through it: see actors/sender.c. */
export interface Attempt {
  readonly row: number;
  readonly era: number;
  readonly beganUs: number;
  readonly endedUs: number;
  readonly result: string;
  readonly id: string;
}

export interface Span {
  readonly fromUs: number;
  readonly toUs: number;
}

export interface Run {
  readonly schedule: Schedule;
  readonly packets: readonly Packet[];
  readonly attempts: readonly Attempt[];
  /** No daemon answers, or none that is done with its start. */
  readonly away: readonly Span[];
  /** Until the daemon has said that the uplink is up again. */
  readonly down: readonly (Span & { readonly uplink: UplinkName })[];
  /** From when on something had become of what tells a row. */
  readonly touched: ReadonlyMap<number, number>;
  /** When each event began. */
  readonly eventsUs: readonly number[];
}

/** `silent`: nothing was seen of somebody who may pass, or nothing tried; nothing is proved by him then. */
export type FindingKind = 'astray' | 'refused' | 'lost' | 'silent';

export interface Finding {
  readonly kind: FindingKind;
  readonly row: number;
  readonly era: number;
  readonly policy: RowPolicy;
  /** The uplink by which it arrived, or how the attempt ended. */
  readonly how: string;
  readonly count: number;
  /** The event before the first of them; undefined: before all events. */
  readonly event: number | undefined;
  readonly msAfterEvent: number;
  readonly isAway: boolean;
}

/** By which uplink it leaves while all are up. */
const USUAL: Readonly<Record<Exclude<RowPolicy, 'deny'>, UplinkName>> = {
  cellular: 'cellular',
  vpn: 'vpn',
  allow: 'wifi',
  none: 'wifi',
};

/** The system's route is by the others, too, once wifi has been lost. */
function mayLeave(policy: RowPolicy, uplink: UplinkName, { down }: Run): boolean {
  if (policy === 'deny') return false;
  if (uplink === USUAL[policy]) return true;
  return USUAL[policy] === 'wifi' && down.some((span) => span.uplink === 'wifi');
}

const SENT = 'sent';
const ANSWERED = 'answered';
const NO_ANSWER = ['timeout', 'closed'];
/** Its port had not come free: nothing was tried. */
const NOT_TRIED = ['EADDRINUSE', 'EADDRNOTAVAIL'];
const US_PER_MS = 1000;
/** What was sent so shortly before a link or a daemon ends may end with it. */
const UNDER_WAY_US = 500_000;

type What = Pick<Finding, 'kind' | 'row' | 'era' | 'policy' | 'how'>;

class Findings {
  readonly #run: Run;
  readonly #found = new Map<string, { firstUs: number; count: number; readonly what: What }>();

  constructor(run: Run) {
    this.#run = run;
  }

  /** Those of one kind after one event count as one. */
  add(what: What, atUs: number): void {
    const key = `${what.kind} ${what.row} ${what.era} ${what.how} ${this.#eventBefore(atUs)}`;
    const known = this.#found.get(key);
    if (known === undefined) {
      this.#found.set(key, { firstUs: atUs, count: 1, what });
    } else {
      known.count += 1;
      known.firstUs = Math.min(known.firstUs, atUs);
    }
  }

  all(): readonly Finding[] {
    return [...this.#found.values()].map(({ firstUs, count, what }) => {
      const event = this.#eventBefore(firstUs);
      const sinceUs = event === undefined ? 0 : firstUs - (this.#run.eventsUs[event] ?? 0);
      const isAway = this.#run.away.some(({ fromUs, toUs }) => firstUs >= fromUs && firstUs <= toUs);
      return { ...what, count, event, msAfterEvent: Math.round(sinceUs / US_PER_MS), isAway };
    });
  }

  #eventBefore(atUs: number): number | undefined {
    const index = this.#run.eventsUs.findLastIndex((beganUs) => beganUs <= atUs);
    return index < 0 ? undefined : index;
  }
}

const overlaps = (span: Span, { beganUs, endedUs }: Attempt): boolean =>
  beganUs <= span.toUs && endedUs >= span.fromUs - UNDER_WAY_US;

/** Whether a daemon must be there to let it out: docs/security.md, "After a crash". */
function mustBeAsked({ touched }: Run, { telling, namesakeOf }: Row, { row: index, endedUs }: Attempt): boolean {
  // Which script an interpreter opens only the daemon sees.
  if (telling === 'script' || namesakeOf !== undefined) return true;
  return (touched.get(index) ?? Number.POSITIVE_INFINITY) <= endedUs;
}

function isExcused(run: Run, row: Row, policy: Exclude<RowPolicy, 'deny'>, attempt: Attempt): boolean {
  if (run.down.some((span) => span.uplink === USUAL[policy] && overlaps(span, attempt))) return true;
  return mustBeAsked(run, row, attempt) && run.away.some((span) => overlaps(span, attempt));
}

/** What went where it must not, and who was held back that may pass. */
export function judgeRun(run: Run): readonly Finding[] {
  const findings = new Findings(run);
  const { rows } = run.schedule;
  const eras = rows.map((_, i) => erasOf(run.schedule, i));
  const arrived = new Set<string>();
  const ports = new Set<number>();
  for (const { atUs, uplink, port, id } of run.packets) {
    const { row, era } = ofPort(port);
    const policy = eras[row]?.[era];
    if (policy === undefined) throw new Error(`a packet to port ${port}, where nobody sends`);
    ports.add(port);
    arrived.add(`${port} ${id}`);
    if (!mayLeave(policy, uplink, run)) findings.add({ kind: 'astray', row, era, policy, how: uplink }, atUs);
  }
  const good = new Set<number>();
  const tried = new Set<number>();
  for (const attempt of run.attempts) {
    const { row: index, era, result, id, beganUs } = attempt;
    const row = rows[index];
    const policy = eras[index]?.[era];
    if (row === undefined || policy === undefined)
      throw new Error(`an attempt of row ${index} in era ${era}, which is not`);
    const port = portOf(index, era);
    if (NOT_TRIED.includes(result)) continue;
    tried.add(port);
    if (policy === 'deny') continue;
    // Of a connection that was given up at once nobody can say whether its SYN has left.
    const hasArrived = result === ANSWERED || (result === SENT && (row.kind === 'tcp' || arrived.has(`${port} ${id}`)));
    if (hasArrived) good.add(port);
    else if (!isExcused(run, row, policy, attempt)) {
      const isLost = result === SENT || NO_ANSWER.includes(result);
      findings.add({ kind: isLost ? 'lost' : 'refused', row: index, era, policy, how: result }, beganUs);
    }
  }
  for (const [row, policies] of eras.entries()) {
    if (rows[row]?.isIdle) continue;
    const wanted = policies.map((policy, era) => ({ policy, era, port: portOf(row, era) }));
    for (const { policy, era, port } of wanted) {
      if (!tried.has(port)) findings.add({ kind: 'silent', row, era, policy, how: 'no attempt' }, 0);
      else if (policy !== 'deny' && !(good.has(port) && ports.has(port))) {
        findings.add({ kind: 'silent', row, era, policy, how: 'nothing arrived' }, 0);
      }
    }
  }
  return findings.all();
}
