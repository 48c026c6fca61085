/* COUNT datagrams on a socket bound to a device, MORE (SO_BINDTODEVICE). */
#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  if (argc < 5) return 2;
  int fd = must(socket(target.family, SOCK_DGRAM, 0), "socket");
  must(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, argv[4], strlen(argv[4])), "SO_BINDTODEVICE");
  for (int i = 0; i < target.count; i++) send_to(fd, &target);
  return leave(argc, argv);
}
