/*
 * script-start SCRIPT COUNT: from starting SCRIPT until it has ended, COUNT times. Prints one line of JSON, times in
 * microseconds.
 */
#define _GNU_SOURCE
#include "times.h"
#include <spawn.h>
#include <sys/wait.h>

#define WARM_UP 3

static int64_t run(char *script) {
  int status;
  pid_t child;
  int64_t start = monotonic_ns();
  if (posix_spawn(&child, script, NULL, NULL, (char *[]){script, NULL}, environ) != 0) fail(script);
  if (waitpid(child, &status, 0) < 0) fail("waitpid");
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? monotonic_ns() - start : -1;
}

int main(int count, char **words) {
  if (count != 3) {
    fputs("usage: script-start SCRIPT COUNT\n", stderr);
    return 2;
  }
  long wanted = number(words[2], 1, 100000);
  struct times times = room_for(wanted);
  for (int i = 0; i < WARM_UP; i++) run(words[1]);
  for (long i = 0; i < wanted; i++) note(&times, run(words[1]));
  if (!print_times(&times)) return 1;
  puts("}");
  return 0;
}
