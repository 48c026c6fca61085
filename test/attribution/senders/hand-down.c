/* Makes a UDP socket, puts it where inetd(8) does, on descriptor 0, and starts another program with it. MORE: how ("fork" or
 * "exec"), then that program. */
#include <sys/wait.h>

#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  if (argc < 6) return 2;
  int fd = must(socket(target.family, SOCK_DGRAM, 0), "socket");
  must(dup2(fd, 0), "dup2");
  if (strcmp(argv[4], "fork") == 0 && must(fork(), "fork") != 0) {
    int status = 0;
    must(wait(&status), "wait");
    return status != 0;
  }
  char *child[] = {argv[5], argv[1], argv[2], argv[3], stay_of(argc, argv), NULL};
  must(execv(argv[5], child), "execv");
  return 1;
}
