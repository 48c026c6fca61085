/* COUNT packets of protocol 253, reserved for experiments (RFC 3692), by a raw socket. */
#include "sender.h"

enum { IPPROTO_EXPERIMENT = 253 };

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  target.address.v4.sin_port = 0;
  int fd = must(socket(target.family, SOCK_RAW, IPPROTO_EXPERIMENT), "socket");
  for (int i = 0; i < target.count; i++) send_to(fd, &target);
  return leave(argc, argv);
}
