/* Says "ready", waits for a line, then makes its socket and sends COUNT datagrams; again for each further line. */
#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  char line[16];
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    int fd = connected(SOCK_DGRAM, 0, &target);
    send_on(fd, target.count);
    leave(argc, argv);
    close(fd);
  }
  return 0;
}
