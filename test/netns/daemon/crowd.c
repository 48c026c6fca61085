/*
 * A program that starts a child, and thousands more after it, before the first one becomes another program.
 *
 * crowd COUNT COMMAND...   the first child runs COMMAND when COUNT others live
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int go[2];
  if (argc < 3 || pipe(go) != 0) return 2;
  pid_t first = fork();
  if (first == 0) {
    char byte;
    close(go[1]);
    if (read(go[0], &byte, 1) == 1) execv(argv[2], argv + 2);
    _exit(2);
  }
  int count = atoi(argv[1]);
  pid_t *others = calloc((size_t)count, sizeof *others);
  int living = 0;
  for (; living < count; living += 1) {
    others[living] = fork();
    if (others[living] == 0) {
      pause();
      _exit(0);
    }
    if (others[living] < 0) break;
  }
  int complete = living == count;
  if (complete && write(go[1], "x", 1) == 1) waitpid(first, NULL, 0);
  else kill(first, SIGKILL);
  while (living > 0) kill(others[--living], SIGKILL);
  while (wait(NULL) > 0) continue;
  return complete ? 0 : 1;
}
