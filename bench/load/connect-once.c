/*
 * connect-once HOST PORT: one connect(2). Writes how long it took, in nanoseconds, to descriptor 1 as an int64_t; -1 where
 * there was no connection. Linked statically: what the loader maps is no part of a start then.
 */
#include "load.h"
#include <netinet/tcp.h>

/* Sent again once, after a second: a lost verdict shows as a second, a second one as a failure. */
#define SYN_REPEATS 1

int main(int count, char **words) {
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  int repeats = SYN_REPEATS;
  if (count != 3) {
    fputs("usage: connect-once HOST PORT\n", stderr);
    return 2;
  }
  struct sockaddr_in address = endpoint(words[1], words[2]);
  int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) fail("socket");
  setsockopt(connection, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  setsockopt(connection, IPPROTO_TCP, TCP_SYNCNT, &repeats, sizeof repeats);
  int64_t start = monotonic_ns();
  int refused = connect(connection, (const struct sockaddr *)&address, sizeof address);
  int64_t taken = refused < 0 ? -1 : monotonic_ns() - start;
  return write(STDOUT_FILENO, &taken, sizeof taken) == sizeof taken ? 0 : 1;
}
