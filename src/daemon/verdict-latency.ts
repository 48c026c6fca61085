/** Four buckets for each doubling: percentiles are right within 19 percent, up to 2^32 us. */
const BUCKETS_PER_DOUBLING = 4;
const BUCKETS = 32 * BUCKETS_PER_DOUBLING;

/** A histogram of times in microseconds in fixed memory. */
export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;

  record(latencyUs: number): void {
    const bucket = Math.ceil(BUCKETS_PER_DOUBLING * Math.log2(Math.max(1, latencyUs)));
    this.#counts[Math.min(BUCKETS - 1, bucket)] = (this.#counts[Math.min(BUCKETS - 1, bucket)] ?? 0) + 1;
    this.#total++;
  }

  get count(): number {
    return this.#total;
  }

  /** The upper edge in us of the bucket in which this share (0..1) of all times is reached; 0 where there are none. */
  percentileUs(share: number): number {
    if (this.#total === 0) return 0;
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (count > 0 && seen >= share * this.#total) return 2 ** (bucket / BUCKETS_PER_DOUBLING);
    }
    return 2 ** ((BUCKETS - 1) / BUCKETS_PER_DOUBLING);
  }
}
