/* Starts a program N times, one after the other: N PROGRAM ARGUMENTS... */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  int failures = 0;
  for (int left = atoi(argv[1]); left > 0; left--) {
    pid_t child;
    int status = 0;
    if (posix_spawn(&child, argv[2], NULL, NULL, argv + 2, environ) != 0 || waitpid(child, &status, 0) < 0) return 1;
    failures += status != 0;
  }
  printf("%d\n", failures);
  return 0;
}
