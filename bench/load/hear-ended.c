/*
 * hear-ended: listens to the kernel's news of connections that end, as the daemon does, and takes it from the socket twice a second.
 * What that costs the kernel is then in the connects of this network namespace.
 */
#include "load.h"
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#define QUEUE_BYTES (8 * 1024 * 1024)
#define TURN_US 500000

int main(void) {
  static char buffer[8192];
  int queue = QUEUE_BYTES, group = NFNLGRP_CONNTRACK_DESTROY;
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  int news = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (news < 0) fail("socket");
  if (bind(news, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  if (setsockopt(news, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof queue) < 0) fail("SO_RCVBUFFORCE");
  if (setsockopt(news, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) fail("NETLINK_ADD_MEMBERSHIP");
  puts("listening");
  fflush(stdout);
  for (;;) {
    while (recv(news, buffer, sizeof buffer, MSG_DONTWAIT) > 0) continue;
    usleep(TURN_US);
  }
}
