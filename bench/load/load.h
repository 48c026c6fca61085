/* What the load programs share: a monotonic clock, IPv4 endpoints, and giving up root. */
#ifndef LOAD_H
#define LOAD_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline int64_t monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static inline void fail(const char *what) {
  perror(what);
  exit(1);
}

static inline long number(const char *text, long least, long most) {
  char *end;
  long value = strtol(text, &end, 10);
  if (*text == '\0' || *end != '\0' || value < least || value > most) {
    fprintf(stderr, "not a number from %ld to %ld: %s\n", least, most, text);
    exit(2);
  }
  return value;
}

static inline struct sockaddr_in endpoint(const char *host, const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(port, 1, 65535))};
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
    fprintf(stderr, "not an IPv4 address: %s\n", host);
    exit(2);
  }
  return address;
}

/* A socket belongs to the user who made it: this comes before the first one. */
static inline void become(const char *uid) {
  uid_t user = (uid_t)number(uid, 0, 4294967294);
  if (setgid(user) < 0 || setuid(user) < 0) fail("setuid");
}

static inline int listen_on(const char *port) {
  int one = 1;
  struct sockaddr_in address = endpoint("0.0.0.0", port);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) fail("socket");
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  if (listen(listener, 4096) < 0) fail("listen");
  puts("listening");
  fflush(stdout);
  return listener;
}

#endif
