/*
 * connect HOST PORT COUNT UID: the time of each connect(2) of COUNT connections, one after the other, as UID.
 * Prints one line of JSON, times in microseconds. Connections end by a reset, so that no port stays in TIME-WAIT.
 */
#include "times.h"

/* The first ones find caches cold. */
#define WARM_UP 50

static int64_t connect_once(const struct sockaddr_in *address) {
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) fail("socket");
  setsockopt(connection, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  int64_t start = monotonic_ns();
  int refused = connect(connection, (const struct sockaddr *)address, sizeof *address);
  int64_t taken = monotonic_ns() - start;
  close(connection);
  return refused < 0 ? -1 : taken;
}

int main(int count, char **words) {
  if (count != 5) {
    fputs("usage: connect HOST PORT COUNT UID\n", stderr);
    return 2;
  }
  struct sockaddr_in address = endpoint(words[1], words[2]);
  long wanted = number(words[3], 1, 1000000);
  struct times times = room_for(wanted);
  become(words[4]);
  for (int i = 0; i < WARM_UP; i++) connect_once(&address);
  for (long i = 0; i < wanted; i++) note(&times, connect_once(&address));
  if (!print_times(&times)) return 1;
  puts("}");
  return 0;
}
