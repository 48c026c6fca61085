/*
 * socket-cost COUNT: how long socket(2) takes. Made in batches, so that reading the clock is no part of it; closing them is
 * not measured. Prints one line of JSON: microseconds for one socket.
 */
#include "times.h"

#define BATCH 64
#define WARM_UP 20

static int64_t batch(void) {
  int sockets[BATCH];
  int64_t start = monotonic_ns();
  for (int i = 0; i < BATCH; i++) sockets[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int64_t taken = monotonic_ns() - start;
  for (int i = 0; i < BATCH; i++) {
    if (sockets[i] < 0) fail("socket");
    close(sockets[i]);
  }
  return taken / BATCH;
}

int main(int count, char **words) {
  if (count != 2) {
    fputs("usage: socket-cost COUNT\n", stderr);
    return 2;
  }
  long batches = number(words[1], BATCH, 100000000) / BATCH;
  struct times times = room_for(batches);
  for (int i = 0; i < WARM_UP; i++) batch();
  for (long i = 0; i < batches; i++) note(&times, batch());
  if (!print_times(&times)) return 1;
  puts("}");
  return 0;
}
