/* Ends while its SYN is on its way: nobody holds the socket any more when it is answered. */
#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  int fd = must(socket(target.family, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
  if (connect(fd, &target.address.any, target.length) < 0 && errno != EINPROGRESS) must(-1, "connect");
  _exit(0);
}
