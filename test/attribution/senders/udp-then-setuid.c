/* Makes its socket as who it is, becomes another user, MORE, and sends COUNT datagrams. */
#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  if (argc < 5) return 2;
  int fd = connected(SOCK_DGRAM, 0, &target);
  must(setuid(atoi(argv[4])), "setuid");
  send_on(fd, target.count);
  return leave(argc, argv);
}
