/** Does each of them, as many at a time as there are lanes. What one throws ends its lane, and then all of it. */
export async function inLanes<T>(lanes: number, all: Iterable<T>, run: (one: T) => Promise<void>): Promise<void> {
  const left = all[Symbol.iterator]();
  const lane = async (): Promise<void> => {
    for (let next = left.next(); !next.done; next = left.next()) await run(next.value);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
