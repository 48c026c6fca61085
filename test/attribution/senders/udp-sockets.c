/* COUNT sockets, each sends one datagram and is closed at once. */
#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  for (int i = 0; i < target.count; i++) {
    int fd = must(socket(target.family, SOCK_DGRAM, 0), "socket");
    send_to(fd, &target);
    close(fd);
  }
  return 0;
}
