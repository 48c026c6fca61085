/** From what was sent, what left and what arrived to a verdict about who was held to be the sender. */

/** What a scenario sends. `bytes`: of a packet with its IP header, of all payload of all connections. */
export type Sent =
  | { readonly unit: 'packets'; readonly count: number; readonly bytes: number }
  | { readonly unit: 'connections'; readonly count: number; readonly bytes: number }
  /** SYNs of connections that nobody waits for: how often one is sent again is the kernel's affair. */
  | { readonly unit: 'attempts'; readonly count: number };

/** `not an application`: it has no sender here that a policy could name. */
export type Expected =
  | { readonly app: string }
  | { readonly app: 'no policy' }
  | { readonly notGoverned: string }
  /** `isAsked`: the kernel does not know that by itself. */
  | { readonly notAnApplication: string; readonly isAsked?: true };

/** Packets that left, and whose the daemon says they are: an application, or in words why of none. */
export interface Share {
  readonly who: string;
  readonly isApp: boolean;
  readonly packets: number;
}

/** In the unit of what was sent. */
export interface Arrived {
  readonly count: number;
  readonly bytes: number;
}

/** NOT HERE: the kernel cannot send such a thing at all. */
export type Verdict = 'PASS' | 'PARTIAL' | 'FAIL' | 'NOT GOVERNED' | 'NOT HERE';

export interface Score {
  readonly verdict: Verdict;
  readonly note: string;
}

export const NO_POLICY = 'no policy';

/**
 * PASS: everything that was sent arrived, and all of it was held to be the sender's. PARTIAL: nothing was held to be another
 * application's, and at least a part the sender's. What is below or outside of what we govern cannot pass, but it fails
 * where it is taken for an application's.
 */
export function score(expected: Expected, sent: Sent, left: readonly Share[], arrived: Arrived): Score {
  const wanted = 'app' in expected ? expected.app : undefined;
  const wrong = left.filter(({ who, isApp }) => isApp && who !== wanted);
  if (wrong.length > 0) return { verdict: 'FAIL', note: `held to be ${listed(wrong)}` };
  const loss = lossOf(sent, arrived);
  if ('notGoverned' in expected)
    return loss === undefined
      ? { verdict: 'NOT GOVERNED', note: expected.notGoverned }
      : { verdict: 'FAIL', note: loss };
  if ('notAnApplication' in expected)
    return loss === undefined ? { verdict: 'PASS', note: expected.notAnApplication } : { verdict: 'FAIL', note: loss };
  const right = left.filter(({ who }) => who === wanted);
  const others = left.filter(({ who }) => who !== wanted);
  if (right.length === 0)
    return { verdict: 'FAIL', note: others.length > 0 ? `held to be ${listed(others)}` : 'nothing left the machine' };
  if (others.length > 0) return { verdict: 'PARTIAL', note: `a part held to be ${listed(others)}` };
  return loss === undefined ? { verdict: 'PASS', note: '' } : { verdict: 'PARTIAL', note: loss };
}

/** What the other end misses, or has too much of; undefined where both ends agree. */
function lossOf(sent: Sent, arrived: Arrived): string | undefined {
  switch (sent.unit) {
    case 'attempts':
      return arrived.count >= sent.count ? undefined : `${arrived.count} of ${sent.count} attempts arrived`;
    case 'packets':
    case 'connections':
      if (arrived.count !== sent.count) return `${arrived.count} of ${sent.count} ${sent.unit} arrived`;
      return arrived.bytes === sent.bytes ? undefined : `${arrived.bytes} of ${sent.bytes} bytes arrived`;
  }
}

/** REFUSED: nothing left the machine, and nothing arrived. */
export type DeadVerdict = Verdict | 'REFUSED';

export interface DeadScore {
  readonly verdict: DeadVerdict;
  readonly note: string;
}

/** The same where the daemon has been killed since it was sent first: what was not known in the kernel is refused at once. */
export function scoreWithoutDaemon(
  expected: Expected,
  sent: Sent,
  left: readonly Share[],
  arrived: Arrived,
): DeadScore {
  const isNothing = arrived.count === 0 && left.every(({ packets }) => packets === 0);
  const isAsked = 'app' in expected || ('notAnApplication' in expected && expected.isAsked === true);
  return isNothing && isAsked ? { verdict: 'REFUSED', note: '' } : score(expected, sent, left, arrived);
}

const listed = (shares: readonly Share[]): string => [...new Set(shares.map(({ who }) => who))].sort().join(', ');

/** All that has to arrive has. */
export function hasArrived(sent: Sent, arrived: Arrived): boolean {
  return arrived.count >= sent.count && (sent.unit === 'attempts' || arrived.bytes >= sent.bytes);
}
