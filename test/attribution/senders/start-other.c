/* Starts another program, MORE, that makes its own socket, and waits for its end. */
#include <sys/wait.h>

#include "sender.h"

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  if (must(fork(), "fork") == 0) {
    char *child[] = {argv[4], argv[1], argv[2], argv[3], stay_of(argc, argv), NULL};
    must(execv(argv[4], child), "execv");
  }
  int status = 0;
  must(wait(&status), "wait");
  return status != 0;
}
