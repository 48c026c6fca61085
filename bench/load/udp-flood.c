/*
 * udp-flood HOST: from one socket, as fast as it can, datagrams that are each a flow of their own, until SIGTERM: every port
 * of HOST, then of the address after it. Prints "listening" once it has begun, and one line of JSON at the end.
 * One socket: who made it was asked about, or not, long before most of its flows begin.
 */
#include "load.h"
#include <signal.h>

#define FIRST_PORT 1024
#define PORTS (65536 - FIRST_PORT)
#define ADDRESSES 250

static volatile sig_atomic_t over;

static void end(int signal) {
  (void)signal;
  over = 1;
}

int main(int count, char **words) {
  if (count != 2) {
    fputs("usage: udp-flood HOST\n", stderr);
    return 2;
  }
  struct sockaddr_in address = endpoint(words[1], "1");
  uint32_t first = ntohl(address.sin_addr.s_addr);
  int out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (out < 0) fail("socket");
  signal(SIGTERM, end);
  puts("listening");
  fflush(stdout);
  long sent = 0, refused = 0;
  int64_t start = monotonic_ns();
  for (long i = 0; !over; i++) {
    address.sin_port = htons((uint16_t)(FIRST_PORT + i % PORTS));
    address.sin_addr.s_addr = htonl(first + (uint32_t)(i / PORTS % ADDRESSES));
    if (sendto(out, "", 1, 0, (const struct sockaddr *)&address, sizeof address) < 0)
      refused++;
    else
      sent++;
  }
  double seconds = (double)(monotonic_ns() - start) / 1e9;
  printf("{\"sent\":%ld,\"refused\":%ld,\"perSecond\":%.0f}\n", sent, refused, (double)(sent + refused) / seconds);
  return 0;
}
