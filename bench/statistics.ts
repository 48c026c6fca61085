/** The middle value; the mean of the two middle ones where their number is even. Throws RangeError for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  if (upper === undefined || lower === undefined) throw new RangeError('no values');
  return (lower + upper) / 2;
}

/** The medians of the lower and of the upper half, without the middle value. Throws RangeError for fewer than two. */
export function quartiles(values: readonly number[]): readonly [lower: number, upper: number] {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return [median(sorted.slice(0, half)), median(sorted.slice(sorted.length - half))];
}

/**
 * How many times the baseline: the median of the ratios of one round each, since a busy machine slows all of a round. Throws
 * RangeError unless both have one value a round, and for a baseline that is not above zero.
 */
export function medianRatio(values: readonly number[], baselines: readonly number[]): number {
  if (values.length !== baselines.length) throw new RangeError('as many values as baselines');
  const ratios = values.map((value, round) => {
    const baseline = baselines[round] ?? 0;
    if (!(baseline > 0)) throw new RangeError('a baseline above zero');
    return value / baseline;
  });
  return median(ratios);
}
