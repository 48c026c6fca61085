import type { Clock } from '../net/clock.ts';

const NS_PER_MS = 1e6;

/** CLOCK_REALTIME and CLOCK_MONOTONIC. Not performance.now(): that begins anew in each thread. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => Number(process.hrtime.bigint()) / NS_PER_MS,
};
