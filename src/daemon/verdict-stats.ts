/** Counters of the verdict loop since it started. */
export interface VerdictTotals {
  /** Packets that came from the queue. */
  packets: number;
  /** Flows by what was decided. */
  accept: number;
  reject: number;
  drop: number;
  /** Further packets of a burst, decided as the first and not counted above. */
  repeated: number;
  /** Dropped: the bytes are no IP packet. */
  undecodable: number;
  /** Our own mistakes: dropped, or decided as of an unknown owner. */
  failed: number;
  /** Dropped: more packets of a flow that already waits than are kept. */
  excess: number;
  /** Refused: more packets of a user wait than his share. */
  beyondShare: number;
  /** Answered by the stated fail mode, since too many flows wait. */
  noRoom: number;
  /** Flows decided without their name, which did not come in time. */
  expired: number;
  /** Verdicts on packets that were gone. */
  late: number;
  /** Verdicts that the kernel did not take. */
  unsent: number;
  /** Times that the kernel could not give us packets for lack of memory; it drops them itself. */
  overruns: number;
}

export interface VerdictCounts extends Readonly<VerdictTotals> {
  readonly heldFlows: number;
  readonly heldPackets: number;
  /** From a flow's first packet to its verdict. */
  readonly latencyP50Us: number;
  readonly latencyP99Us: number;
}

export const NO_VERDICTS: Readonly<VerdictTotals> = {
  packets: 0,
  accept: 0,
  reject: 0,
  drop: 0,
  repeated: 0,
  undecodable: 0,
  failed: 0,
  excess: 0,
  beyondShare: 0,
  noRoom: 0,
  expired: 0,
  late: 0,
  unsent: 0,
  overruns: 0,
};
