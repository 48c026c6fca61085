/* Asks a DNS server for www.example.org with a query of its own making (RFC 1035), and waits for the answer. */
#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  static const char query[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\0\3www\7example\3org\0\0\1\0\1";
  int fd = connected(SOCK_DGRAM, 0, &target);
  must(send(fd, query, sizeof query - 1, 0), "send");
  char answer[512];
  struct timeval patience = {.tv_sec = 3};
  must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), "SO_RCVTIMEO");
  must(recv(fd, answer, sizeof answer, 0), "recv");
  return 0;
}
