/* Times of many repetitions of one thing, printed as one line of JSON in microseconds. */
#ifndef TIMES_H
#define TIMES_H

#include "load.h"

struct times {
  int64_t *ns;
  long measured, failed;
};

static inline struct times room_for(long wanted) {
  struct times times = {.ns = calloc((size_t)wanted, sizeof(int64_t))};
  if (times.ns == NULL) fail("calloc");
  return times;
}

/* Below zero: it failed. */
static inline void note(struct times *times, int64_t ns) {
  if (ns < 0)
    times->failed++;
  else
    times->ns[times->measured++] = ns;
}

static inline int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* Without the closing brace: what else a program has to say may follow. 0 where nothing was measured. */
static inline int print_times(struct times *times) {
  long measured = times->measured;
  if (measured == 0) {
    fputs("nothing was measured\n", stderr);
    return 0;
  }
  qsort(times->ns, (size_t)measured, sizeof *times->ns, ascending);
  printf("{\"count\":%ld,\"failed\":%ld,\"p50Us\":%.3f,\"p90Us\":%.3f,\"p99Us\":%.3f", measured, times->failed,
         times->ns[measured / 2] / 1e3, times->ns[measured * 9 / 10] / 1e3, times->ns[measured * 99 / 100] / 1e3);
  return 1;
}

#endif
