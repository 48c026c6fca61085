/*
 * first-connect HOST PORT COUNT PROGRAM DIR NAME MILLISECONDS: the first connection of COUNT processes that nobody has seen
 * before, one after the other. Each runs a file of its own, a copy of PROGRAM (connect-once) called NAME, made in a directory
 * of its own in DIR, so that neither the process nor its executable can be known from the one before. Stops early when the time
 * is over. Prints one line of JSON, times of connect(2) in microseconds.
 */
#define _GNU_SOURCE
#include "times.h"
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void copy_program(const char *from, const char *to) {
  struct stat file;
  int source = open(from, O_RDONLY | O_CLOEXEC);
  int copy = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
  if (source < 0 || copy < 0 || fstat(source, &file) < 0) fail(to);
  for (off_t done = 0; done < file.st_size;) {
    if (sendfile(copy, source, &done, (size_t)(file.st_size - done)) <= 0) fail("sendfile");
  }
  close(source);
  close(copy);
}

/* Nanoseconds, or -1. */
static int64_t run(char **command) {
  int ends[2], status;
  int64_t taken = -1;
  pid_t child;
  posix_spawn_file_actions_t actions;
  if (pipe2(ends, O_CLOEXEC) < 0) fail("pipe");
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  if (posix_spawn(&child, command[0], &actions, NULL, command, environ) != 0) fail("posix_spawn");
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (read(ends[0], &taken, sizeof taken) != sizeof taken) taken = -1;
  close(ends[0]);
  if (waitpid(child, &status, 0) < 0) fail("waitpid");
  return taken;
}

int main(int count, char **words) {
  char dir[PATH_MAX / 2], path[PATH_MAX];
  if (count != 8) {
    fputs("usage: first-connect HOST PORT COUNT PROGRAM DIR NAME MILLISECONDS\n", stderr);
    return 2;
  }
  long wanted = number(words[3], 1, 100000);
  int64_t end = monotonic_ns() + number(words[7], 1, 600000) * INT64_C(1000000);
  struct times times = room_for(wanted);
  for (long i = 0; i < wanted && monotonic_ns() < end; i++) {
    snprintf(dir, sizeof dir, "%s/%d-%ld", words[5], (int)getpid(), i);
    snprintf(path, sizeof path, "%s/%s", dir, words[6]);
    if (mkdir(dir, 0755) < 0) fail(dir);
    copy_program(words[4], path);
    note(&times, run((char *[]){path, words[1], words[2], NULL}));
    unlink(path);
    rmdir(dir);
  }
  if (!print_times(&times)) return 1;
  puts("}");
  return 0;
}
