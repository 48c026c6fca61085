/*
 * stream sink PORT: reads whatever comes, one connection after the other.
 * stream send HOST PORT MILLISECONDS UID: one connection, as much as goes through it; one line of JSON.
 * The time ends when the other end has read everything.
 */
#include "load.h"
#include <string.h>

#define CHUNK_BYTES (256 * 1024)

static char chunk[CHUNK_BYTES];

static _Noreturn void sink(const char *port) {
  int listener = listen_on(port);
  for (;;) {
    int connection = accept(listener, NULL, NULL);
    if (connection < 0) continue;
    while (read(connection, chunk, sizeof chunk) > 0) continue;
    close(connection);
  }
}

static int send_for(const struct sockaddr_in *address, long milliseconds) {
  int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) fail("socket");
  if (connect(connection, (const struct sockaddr *)address, sizeof *address) < 0) fail("connect");
  int64_t start = monotonic_ns(), end = start + milliseconds * INT64_C(1000000), bytes = 0;
  while (monotonic_ns() < end) {
    ssize_t written = write(connection, chunk, sizeof chunk);
    if (written < 0) fail("write");
    bytes += written;
  }
  shutdown(connection, SHUT_WR);
  while (read(connection, chunk, sizeof chunk) > 0) continue;
  double seconds = (double)(monotonic_ns() - start) / 1e9;
  printf("{\"bytes\":%lld,\"seconds\":%.4f,\"bitsPerSecond\":%.0f}\n", (long long)bytes, seconds,
         (double)bytes * 8 / seconds);
  return 0;
}

int main(int count, char **words) {
  if (count == 3 && strcmp(words[1], "sink") == 0) sink(words[2]);
  if (count != 6 || strcmp(words[1], "send") != 0) {
    fputs("usage: stream sink PORT | stream send HOST PORT MILLISECONDS UID\n", stderr);
    return 2;
  }
  struct sockaddr_in address = endpoint(words[2], words[3]);
  become(words[5]);
  return send_for(&address, number(words[4], 1, 60000));
}
