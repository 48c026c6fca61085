/* A program under policy. Sends to one place in one style, and reports each attempt as a line:
 *   R ROW ERA STYLE BEGAN_US ENDED_US RESULT ID
 * RESULT: "sent" (nobody answers), "answered", "timeout", or the name of an error. ID is in the datagram, so that the other end can
 * name it.
 *
 * sender ROW ERA STYLE KIND HOST PORT SOURCE_PORT OTHER
 *   STYLE: brief    sends and closes at once
 *          ask      waits for the answer
 *          keep     keeps its socket, and asks by it until it is killed
 *          reuse    ask from SOURCE_PORT
 *          pass     makes the socket, passes it by SCM_RIGHTS to OTHER, which asks, and ends
 *          forks    children are brief; it has ended by then
 *          family   starts OTHER, which asks, and ends
 *          crowd    as forks, with 40
 *          flood    20 datagrams a millisecond for 300 ms, by one socket
 *          strange  a new socket every other millisecond for 300 ms
 *   KIND: tcp, udp, udp-connected
 * A first argument with a slash is the script that a copy of this is the interpreter of: it is opened, as interpreters do, and skipped. */
#include "actor.h"

#define TIMEOUT_MS 5000
#define KEEP_MS 40
#define FORKS 3
#define CROWD 40

static char *row, *era, *style, *kind;
static struct place to;
static int source_port, count;

static void report(long long began, const char *result, const char *id) {
  char line[160];
  int length = snprintf(line, sizeof line, "R %s %s %s %lld %lld %s %s\n", row, era, style, began, now_us(), result, id);
  if (write(1, line, length) < 0) _exit(3);
}

static const char *error_name(void) {
  const char *name = strerrorname_np(errno);
  return name ? name : "ERROR";
}

static int is_tcp(void) { return strcmp(kind, "tcp") == 0; }

/* NULL: it is ready. */
static const char *await(int fd, short events) {
  struct pollfd one = {.fd = fd, .events = events};
  int ready = poll(&one, 1, TIMEOUT_MS);
  if (ready < 0) return error_name();
  return ready == 0 ? "timeout" : NULL;
}

static const char *open_socket(int *fd, int waits) {
  *fd = socket(to.family, (is_tcp() ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0);
  if (*fd < 0) return error_name();
  if (source_port) {
    int one = 1;
    /* Two datagram sockets on one port would take each other's answers. */
    if (is_tcp()) setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct place from = place_of("", to.family, source_port);
    if (bind(*fd, (struct sockaddr *)&from.address, from.length) < 0) return error_name();
  }
  if (strcmp(kind, "udp") == 0) return NULL;
  if (connect(*fd, (struct sockaddr *)&to.address, to.length) == 0) return NULL;
  if (errno != EINPROGRESS) return error_name();
  if (!waits) return NULL;
  const char *wrong = await(*fd, POLLOUT);
  if (wrong) return wrong;
  socklen_t size = sizeof errno;
  getsockopt(*fd, SOL_SOCKET, SO_ERROR, &errno, &size);
  return errno ? error_name() : NULL;
}

static const char *send_to(int fd, const char *text) {
  size_t length = strlen(text);
  ssize_t sent = strcmp(kind, "udp") == 0 ? sendto(fd, text, length, 0, (struct sockaddr *)&to.address, to.length)
                                          : send(fd, text, length, MSG_NOSIGNAL);
  return sent < 0 ? error_name() : NULL;
}

static void make_id(char *id, size_t size) { snprintf(id, size, "%d.%d", getpid(), ++count); }

static const char *exchange(int fd, const char *id) {
  char text[64], answer[64];
  snprintf(text, sizeof text, "e %s\n", id);
  const char *wrong = send_to(fd, text);
  if (wrong) return wrong;
  for (;;) {
    if ((wrong = await(fd, POLLIN))) return wrong;
    ssize_t got = recv(fd, answer, sizeof answer - 1, 0);
    if (got < 0 && errno == EAGAIN) continue;
    if (got < 0) return error_name();
    if (got == 0) return "closed";
    answer[got] = 0;
    /* An answer that came late is to another question. */
    if (strcmp(answer, text) == 0) return "answered";
  }
}

static void brief(void) {
  char id[32], text[64];
  int fd;
  make_id(id, sizeof id);
  snprintf(text, sizeof text, "q %s\n", id);
  long long began = now_us();
  const char *wrong = open_socket(&fd, 0);
  if (!wrong && !is_tcp()) wrong = send_to(fd, text);
  close(fd);
  report(began, wrong ? wrong : "sent", id);
}

static void ask(void) {
  char id[32];
  int fd;
  make_id(id, sizeof id);
  long long began = now_us();
  const char *wrong = open_socket(&fd, 1);
  report(began, wrong ? wrong : exchange(fd, id), id);
  /* Nothing is left of the connection in the way of the next from the same port. */
  struct linger at_once = {.l_onoff = 1};
  if (source_port) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

static void keep(void) {
  for (;;) {
    int fd;
    long long began = now_us();
    const char *wrong = open_socket(&fd, 1);
    if (wrong) report(began, wrong, "-");
    while (!wrong) {
      char id[32];
      make_id(id, sizeof id);
      began = now_us();
      const char *result = exchange(fd, id);
      report(began, result, id);
      pause_ms(KEEP_MS);
      /* A datagram that was refused or lost ends no socket. */
      if (strcmp(result, "answered") != 0 && is_tcp()) wrong = result;
    }
    close(fd);
    pause_ms(KEEP_MS);
  }
}

static void start_other(char *other, char *how, char **argv) {
  char *args[] = {other, row, era, how, kind, argv[5], argv[6], "0", "-", NULL};
  execv(other, args);
  _exit(4);
}

static void pass(char *other, char **argv) {
  int pair[2], fd;
  long long began = now_us();
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) _exit(5);
  if (fork() == 0) {
    dup2(pair[1], 0);
    start_other(other, "take", argv);
  }
  const char *wrong = open_socket(&fd, 1);
  if (wrong) {
    report(began, wrong, "-");
    _exit(0);
  }
  char control[CMSG_SPACE(sizeof fd)] = {0}, byte = 0;
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  sendmsg(pair[0], &message, 0);
}

static void take(void) {
  char control[CMSG_SPACE(sizeof(int))] = {0}, byte, id[32];
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  int fd;
  /* Its maker could not open it, and has said so. */
  if (recvmsg(0, &message, 0) <= 0 || !CMSG_FIRSTHDR(&message)) _exit(0);
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  make_id(id, sizeof id);
  long long began = now_us();
  report(began, exchange(fd, id), id);
}

/* The children send when their parent has ended. */
static void forks(int children) {
  for (int i = 0; i < children; i += 1) {
    if (fork() == 0) {
      pause_ms(10);
      brief();
      _exit(0);
    }
  }
}

static void flood(int is_strange) {
  long long end = now_us() + 300000;
  int fd = -1;
  while (now_us() < end) {
    for (int i = 0; i < (is_strange ? 1 : 20); i += 1) {
      if (fd < 0 && open_socket(&fd, 0)) return;
      send_to(fd, "q flood\n");
      if (is_strange) {
        close(fd);
        fd = -1;
      }
    }
    pause_ms(is_strange ? 2 : 1);
  }
}

int main(int argc, char **argv) {
  if (argc > 1 && strchr(argv[1], '/')) {
    close(open(argv[1], O_RDONLY | O_CLOEXEC));
    argv += 1;
    argc -= 1;
  }
  if (argc < 9) return 2;
  row = argv[1], era = argv[2], style = argv[3], kind = argv[4];
  to = place_of(argv[5], 0, atoi(argv[6]));
  source_port = atoi(argv[7]);
  if (strcmp(style, "brief") == 0) brief();
  else if (strcmp(style, "ask") == 0 || strcmp(style, "reuse") == 0) ask();
  else if (strcmp(style, "keep") == 0) keep();
  else if (strcmp(style, "pass") == 0) pass(argv[8], argv);
  else if (strcmp(style, "take") == 0) take();
  else if (strcmp(style, "forks") == 0) forks(FORKS);
  else if (strcmp(style, "crowd") == 0) forks(CROWD);
  else if (strcmp(style, "flood") == 0) flood(0);
  else if (strcmp(style, "strange") == 0) flood(1);
  else if (strcmp(style, "family") == 0) {
    if (fork() == 0) {
      pause_ms(10);
      start_other(argv[8], "ask", argv);
    }
  } else return 2;
  return 0;
}
