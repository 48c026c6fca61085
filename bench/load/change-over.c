/*
 * change-over HOST PORT DEVICE ADDRESS FLAPS: FLAPS times: connects until a connection has ADDRESS as its own, prints "ready", and waits
 * until the kernel tells that DEVICE is down (rtnetlink(7), RTM_NEWLINK without IFF_UP). Then connects until a connection
 * succeeds, and prints the nanoseconds between. Nothing that is sent to DEVICE can succeed any more.
 */
#include "load.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>

#define ANSWER_MS 2
#define PAUSE_US 200
#define GIVE_UP_NS INT64_C(10000000000)

/* Whether there was a connection; its own address. */
static int connects(const struct sockaddr_in *server, struct in_addr *own) {
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connection < 0) fail("socket");
  setsockopt(connection, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  int error = connect(connection, (const struct sockaddr *)server, sizeof *server) < 0 ? errno : 0;
  if (error == EINPROGRESS) {
    struct pollfd answer = {.fd = connection, .events = POLLOUT};
    socklen_t length = sizeof error;
    if (poll(&answer, 1, ANSWER_MS) == 1) getsockopt(connection, SOL_SOCKET, SO_ERROR, &error, &length);
  }
  struct sockaddr_in name = {0};
  socklen_t length = sizeof name;
  getsockname(connection, (struct sockaddr *)&name, &length);
  *own = name.sin_addr;
  close(connection);
  return error == 0;
}

static int listen_for_links(void) {
  struct sockaddr_nl groups = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
  int events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (events < 0) fail("socket");
  if (bind(events, (struct sockaddr *)&groups, sizeof groups) < 0) fail("bind");
  return events;
}

static void wait_for_loss(int events, int device) {
  static char buffer[65536] __attribute__((aligned(8)));
  for (;;) {
    ssize_t left = recv(events, buffer, sizeof buffer, 0);
    if (left < 0 && errno != ENOBUFS) fail("recv");
    for (struct nlmsghdr *message = (struct nlmsghdr *)buffer; left > 0 && NLMSG_OK(message, (size_t)left);
         message = NLMSG_NEXT(message, left)) {
      const struct ifinfomsg *link = NLMSG_DATA(message);
      if (message->nlmsg_type == RTM_NEWLINK && link->ifi_index == device && !(link->ifi_flags & IFF_UP)) return;
    }
  }
}

static void give_up_after(int64_t since, const char *what) {
  if (monotonic_ns() - since < GIVE_UP_NS) return;
  fprintf(stderr, "%s in vain\n", what);
  exit(1);
}

int main(int count, char **words) {
  struct in_addr wanted, own;
  if (count != 6 || inet_pton(AF_INET, words[4], &wanted) != 1) {
    fputs("usage: change-over HOST PORT DEVICE ADDRESS FLAPS\n", stderr);
    return 2;
  }
  struct sockaddr_in server = endpoint(words[1], words[2]);
  int device = (int)if_nametoindex(words[3]);
  if (device == 0) fail(words[3]);
  long flaps = number(words[5], 1, 1000000);
  for (long flap = 0; flap < flaps; flap++) {
    int64_t since = monotonic_ns();
    while (!connects(&server, &own) || own.s_addr != wanted.s_addr) {
      give_up_after(since, "waited for the first uplink");
      usleep(PAUSE_US);
    }
    int events = listen_for_links();
    puts("ready");
    fflush(stdout);
    wait_for_loss(events, device);
    int64_t lost = monotonic_ns();
    while (!connects(&server, &own)) {
      give_up_after(lost, "waited for the next uplink");
      usleep(PAUSE_US);
    }
    printf("%lld\n", (long long)(monotonic_ns() - lost));
    fflush(stdout);
    close(events);
  }
  return 0;
}
