/* COUNT datagrams by sendto(2). */
#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  int fd = must(socket(target.family, SOCK_DGRAM, 0), "socket");
  int on = 1;
  must(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on), "SO_BROADCAST");
  for (int i = 0; i < target.count; i++) send_to(fd, &target);
  return leave(argc, argv);
}
