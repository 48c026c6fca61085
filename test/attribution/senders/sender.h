/* What all senders share: where to send, and two ways to end. Arguments: ADDRESS PORT [COUNT [MORE...]] [stay]. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* EXIT_ABSENT: the kernel has no such thing (automake's number for a skipped test); stdout says what. */
enum { PAYLOAD_BYTES = 100, EXIT_ABSENT = 77, STAY = 3 };

static const char payload[PAYLOAD_BYTES] = "attribution";

struct target {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } address;
  socklen_t length;
  int family;
  int count;
};

/* For what always works, and for what a kernel may have been built without. */
static inline int must(int result, const char *what) {
  if (result >= 0) return result;
  perror(what);
  exit(1);
}

static inline int may_lack(int result, const char *what) {
  if (result >= 0) return result;
  switch (errno) {
    case EPROTONOSUPPORT:
    case ESOCKTNOSUPPORT:
    case EAFNOSUPPORT:
    case ENOPROTOOPT:
    case ENOSYS:
      printf("%s: %s\n", what, strerror(errno));
      exit(EXIT_ABSENT);
    default:
      return must(result, what);
  }
}

static inline struct target target_at(const char *address, int port) {
  struct target target = {.count = 1};
  if (inet_pton(AF_INET, address, &target.address.v4.sin_addr) == 1) {
    target.family = target.address.v4.sin_family = AF_INET;
    target.address.v4.sin_port = htons(port);
    target.length = sizeof target.address.v4;
  } else if (inet_pton(AF_INET6, address, &target.address.v6.sin6_addr) == 1) {
    target.family = target.address.v6.sin6_family = AF_INET6;
    target.address.v6.sin6_port = htons(port);
    target.length = sizeof target.address.v6;
  } else {
    fprintf(stderr, "no address: %s\n", address);
    exit(2);
  }
  return target;
}

static inline struct target target_of(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s ADDRESS PORT [COUNT [MORE...]] [stay]\n", argv[0]);
    exit(2);
  }
  struct target target = target_at(argv[1], atoi(argv[2]));
  if (argc > 3) target.count = atoi(argv[3]);
  return target;
}

static inline void send_to(int fd, const struct target *target) {
  must(sendto(fd, payload, sizeof payload, 0, &target->address.any, target->length), "sendto");
}

static inline int connected(int type, int protocol, const struct target *target) {
  int fd = may_lack(socket(target->family, type, protocol), "socket");
  must(connect(fd, &target->address.any, target->length), "connect");
  return fd;
}

static inline void send_on(int fd, int count) {
  for (int i = 0; i < count; i++) must(send(fd, payload, sizeof payload, 0), "send");
}

/* RFC 1071, for an even number of bytes. */
static inline unsigned short internet_checksum(const void *data, int bytes) {
  unsigned sum = 0;
  for (int i = 0; i < bytes; i += 2) {
    unsigned short word;
    memcpy(&word, (const char *)data + i, sizeof word);
    sum += word;
  }
  sum = (sum >> 16) + (sum & 0xffff);
  return ~(sum + (sum >> 16));
}

/* A last argument "stay" keeps the socket open until descriptor STAY comes to its end. */
static inline char *stay_of(int argc, char **argv) {
  return strcmp(argv[argc - 1], "stay") == 0 ? argv[argc - 1] : NULL;
}

static inline int leave(int argc, char **argv) {
  char byte;
  if (stay_of(argc, argv) != NULL) while (read(STAY, &byte, 1) > 0);
  return 0;
}
