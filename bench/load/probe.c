/*
 * probe HOST PORT UID open|refused TIMEOUT_MS: connects as UID again and again until it is as asked. Prints "listening"
 * once it has begun, then CLOCK_MONOTONIC in nanoseconds at the moment it was seen. Refused is a reset, nothing else:
 * silence and other errors are neither.
 */
#include "load.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#define ANSWER_MS 100
#define PAUSE_US 500

/* 0, or why there is no connection. */
static int outcome(const struct sockaddr_in *address) {
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connection < 0) fail("socket");
  setsockopt(connection, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  int error = connect(connection, (const struct sockaddr *)address, sizeof *address) < 0 ? errno : 0;
  if (error == EINPROGRESS) {
    struct pollfd answer = {.fd = connection, .events = POLLOUT};
    socklen_t length = sizeof error;
    if (poll(&answer, 1, ANSWER_MS) == 1) getsockopt(connection, SOL_SOCKET, SO_ERROR, &error, &length);
  }
  close(connection);
  return error;
}

int main(int count, char **words) {
  if (count != 6) {
    fputs("usage: probe HOST PORT UID open|refused TIMEOUT_MS\n", stderr);
    return 2;
  }
  struct sockaddr_in address = endpoint(words[1], words[2]);
  int wanted = strcmp(words[4], "open") == 0 ? 0 : ECONNREFUSED;
  int64_t deadline = monotonic_ns() + number(words[5], 1, 600000) * INT64_C(1000000);
  become(words[3]);
  puts("listening");
  fflush(stdout);
  while (monotonic_ns() < deadline) {
    if (outcome(&address) == wanted) {
      printf("%lld\n", (long long)monotonic_ns());
      return 0;
    }
    usleep(PAUSE_US);
  }
  fprintf(stderr, "not %s in time\n", words[4]);
  return 1;
}
