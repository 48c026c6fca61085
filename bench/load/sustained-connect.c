/*
 * sustained-connect HOST PORT RATE SECONDS before|each: RATE connections a second, whether or not earlier ones have been
 * answered. `before`: all sockets are made before the first connects; `each`: each when it connects. Prints one line of
 * JSON: times from connect(2) to the answer, in microseconds; `perSecond` that were started; `late`: answered
 * only after the time in which TCP sends a SYN again, or after it did: the packet or its verdict was lost, or came late;
 * `unanswered`: not in time at all. By the time, too, since a SYN that still waits in a queue of this host is not sent again.
 */
#include "times.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

/* Initial retransmission timeout, RFC 6298. */
#define LATE_NS INT64_C(1000000000)
#define ANSWER_NS INT64_C(4000000000)
#define PAUSE_MS 1
#define MAX_EVENTS 256
#define FIRST_PORT 2000
#define MAX_CONNECTIONS (65535 - FIRST_PORT)
#define SPARE_DESCRIPTORS 64

struct attempt {
  int descriptor;
  int64_t started;
};

/*
 * Each has a port of its own: where a port comes back within seconds, conntrack now and then takes its SYN for one of the connection of
 * before, and nobody is asked.
 */
static int new_socket(long place) {
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(FIRST_PORT + place))};
  int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) fail("socket");
  setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  if (bind(descriptor, (struct sockaddr *)&own, sizeof own) < 0) fail("bind");
  return descriptor;
}

static void allow_descriptors(long wanted) {
  rlim_t most = (rlim_t)wanted + SPARE_DESCRIPTORS;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) fail("getrlimit");
  /* Beyond the hard limit it takes CAP_SYS_RESOURCE, which root in a container often has not got. */
  if (limit.rlim_max < most) limit.rlim_max = most;
  limit.rlim_cur = most;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) fail("setrlimit");
}

static int was_repeated(int descriptor) {
  struct tcp_info info;
  socklen_t length = sizeof info;
  return getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_total_retrans > 0;
}

int main(int count, char **words) {
  struct epoll_event events[MAX_EVENTS];
  if (count != 6 || (strcmp(words[5], "before") != 0 && strcmp(words[5], "each") != 0)) {
    fputs("usage: sustained-connect HOST PORT RATE SECONDS before|each\n", stderr);
    return 2;
  }
  struct sockaddr_in address = endpoint(words[1], words[2]);
  long rate = number(words[3], 1, 100000), wanted = rate * number(words[4], 1, 60);
  int before = strcmp(words[5], "before") == 0;
  if (wanted > MAX_CONNECTIONS) {
    fprintf(stderr, "at most %d connections: each has a port of its own\n", MAX_CONNECTIONS);
    return 2;
  }
  struct times times = room_for(wanted);
  struct attempt *attempts = calloc((size_t)wanted, sizeof *attempts);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (attempts == NULL || epoll < 0) fail("epoll_create1");
  allow_descriptors(wanted);
  for (long i = 0; before && i < wanted; i++) attempts[i].descriptor = new_socket(i);
  long made = 0, answered = 0, late = 0;
  int64_t start = monotonic_ns(), last = start;
  while (answered < wanted && (made < wanted || monotonic_ns() - last < ANSWER_NS)) {
    long due = (long)((double)(monotonic_ns() - start) * 1e-9 * (double)rate) + 1;
    for (; made < wanted && made < due; made++) {
      struct attempt *attempt = &attempts[made];
      struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data.ptr = attempt};
      if (!before) attempt->descriptor = new_socket(made);
      last = attempt->started = monotonic_ns();
      if (connect(attempt->descriptor, (const struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        note(&times, -1);
        answered++;
        close(attempt->descriptor);
      } else if (epoll_ctl(epoll, EPOLL_CTL_ADD, attempt->descriptor, &event) < 0) {
        fail("epoll_ctl");
      }
    }
    int ready = epoll_wait(epoll, events, MAX_EVENTS, PAUSE_MS);
    for (int i = 0; i < ready; i++) {
      struct attempt *attempt = events[i].data.ptr;
      int error = 0;
      socklen_t length = sizeof error;
      int64_t taken = monotonic_ns() - attempt->started;
      getsockopt(attempt->descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
      if (error == 0 && (taken >= LATE_NS || was_repeated(attempt->descriptor))) late++;
      note(&times, error == 0 ? taken : -1);
      answered++;
      close(attempt->descriptor);
    }
  }
  if (!print_times(&times)) return 1;
  printf(",\"perSecond\":%.1f,\"late\":%ld,\"unanswered\":%ld}\n", (double)(made - 1) / ((double)(last - start) / 1e9),
         late, wanted - answered);
  return 0;
}
