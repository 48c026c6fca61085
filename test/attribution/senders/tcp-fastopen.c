/* The data travels with the SYN (RFC 7413); there is no connect(2). */
#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  int fd = must(socket(target.family, SOCK_STREAM, 0), "socket");
  must(sendto(fd, payload, sizeof payload, MSG_FASTOPEN, &target.address.any, target.length), "sendto");
  return leave(argc, argv);
}
