/* What the programs of schedules share: the clock of their reports, and addresses. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* CLOCK_MONOTONIC in microseconds, which process.hrtime() of Node counts in, too. */
static inline long long now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static inline void pause_ms(long ms) {
  struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

struct place {
  struct sockaddr_storage address;
  socklen_t length;
  int family;
};

/* HOST "" is any address of the family that FAMILY names. */
static inline struct place place_of(const char *host, int family, int port) {
  struct place place = {.family = *host ? (strchr(host, ':') ? AF_INET6 : AF_INET) : family};
  if (place.family == AF_INET6) {
    struct sockaddr_in6 *to = (struct sockaddr_in6 *)&place.address;
    to->sin6_family = AF_INET6;
    to->sin6_port = htons(port);
    if (*host) inet_pton(AF_INET6, host, &to->sin6_addr);
    place.length = sizeof *to;
  } else {
    struct sockaddr_in *to = (struct sockaddr_in *)&place.address;
    to->sin_family = AF_INET;
    to->sin_port = htons(port);
    if (*host) inet_pton(AF_INET, host, &to->sin_addr);
    place.length = sizeof *to;
  }
  return place;
}
