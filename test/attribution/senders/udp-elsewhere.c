/* COUNT datagrams by sendto(2) on a socket that is connected to somebody else, MORE. */
#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  if (argc < 5) return 2;
  struct target other = target_at(argv[4], 9);
  int fd = connected(SOCK_DGRAM, 0, &other);
  for (int i = 0; i < target.count; i++) send_to(fd, &target);
  return leave(argc, argv);
}
