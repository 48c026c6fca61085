/* COUNT children at once, each with a connection of its own and gone. */
#include <sys/wait.h>

#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  for (int i = 0; i < target.count; i++) {
    if (must(fork(), "fork") != 0) continue;
    send_on(connected(SOCK_STREAM, 0, &target), 1);
    _exit(0);
  }
  int worst = 0;
  for (int status; wait(&status) > 0;) worst |= status;
  return worst != 0;
}
