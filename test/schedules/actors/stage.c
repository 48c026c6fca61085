/* Starts programs again and again. Commands are lines of standard input:
 *   start ROW PERIOD_MS UID CGROUP COMMAND...   at once, and then every PERIOD_MS (0: only once) until it is stopped
 *   now ROW       starts it once more, at once
 *   stop ROW      starts no more; says "stopped ROW" when all that was started has ended, its children too
 *   again ROW     kills all that is in its cgroup, makes the cgroup anew, and starts at once; says "again ROW"
 * CGROUP is a directory. It ends with its standard input; programs are killed by their cgroup. */
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "actor.h"

#define MAX_ROWS 64
#define MAX_WORDS 24
#define MAX_LINE 4096
/* Of a row, at the same time: more would only wait for each other. */
#define MAX_ALIVE 6

struct row {
  char line[MAX_LINE], *words[MAX_WORDS];
  int is_used, is_stopping, period, uid, alive[2];
  char *cgroup;
  long long due;
  pid_t children[MAX_ALIVE];
};

static struct row rows[MAX_ROWS];

static void say(const char *what, long which) {
  char line[64];
  int length = snprintf(line, sizeof line, "%s %ld\n", what, which);
  if (write(1, line, length) < 0) _exit(3);
}

static void put(const char *directory, const char *file, const char *text) {
  char path[MAX_LINE];
  snprintf(path, sizeof path, "%s/%s", directory, file);
  int fd = open(path, O_WRONLY);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) dprintf(2, "stage: %s: %s\n", path, strerror(errno));
  if (fd >= 0) close(fd);
}

/* Who is moved into a cgroup later waits for all forks of the machine, and they for him. */
static pid_t fork_into(const char *cgroup) {
  int fd = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = fd};
  pid_t pid = fd < 0 ? -1 : syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0) dprintf(2, "stage: %s: %s\n", cgroup, strerror(errno));
  if (fd >= 0) close(fd);
  return pid;
}

static void reap(void) {
  for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;)
    for (int i = 0; i < MAX_ROWS * MAX_ALIVE; i += 1)
      if (rows[i / MAX_ALIVE].children[i % MAX_ALIVE] == pid) rows[i / MAX_ALIVE].children[i % MAX_ALIVE] = 0;
}

static void start(struct row *row) {
  row->due = now_us() + row->period * 1000LL;
  int place = 0;
  while (place < MAX_ALIVE && row->children[place]) place += 1;
  if (place == MAX_ALIVE) return;
  pid_t pid = fork_into(row->cgroup);
  if (pid == 0) {
    /* What is left is alive as long as somebody has this. */
    fcntl(row->alive[1], F_SETFD, 0);
    if (row->uid && (setgid(row->uid) < 0 || setuid(row->uid) < 0)) _exit(6);
    execv(row->words[0], row->words);
    dprintf(2, "stage: %s: %s\n", row->words[0], strerror(errno));
    _exit(7);
  }
  if (pid > 0) row->children[place] = pid;
}

static int is_any_alive(struct row *row) {
  struct pollfd one = {.fd = row->alive[0]};
  poll(&one, 1, 0);
  return !(one.revents & POLLHUP);
}

static void begin(long which, char *rest) {
  struct row *row = &rows[which];
  if (row->is_used) close(row->alive[0]);
  if (row->is_used && !row->is_stopping) close(row->alive[1]);
  memset(row, 0, sizeof *row);
  strcpy(row->line, rest);
  char *at = row->line;
  row->period = atoi(strsep(&at, " "));
  row->uid = atoi(strsep(&at, " "));
  row->cgroup = strsep(&at, " ");
  for (int i = 0; i < MAX_WORDS - 1 && at; i += 1) row->words[i] = strsep(&at, " ");
  if (pipe2(row->alive, O_CLOEXEC) < 0) _exit(8);
  row->is_used = 1;
  start(row);
}

static void again(long which) {
  struct row *row = &rows[which];
  put(row->cgroup, "cgroup.kill", "1");
  for (int i = 0; i < 5000 && rmdir(row->cgroup) < 0; i += 1) pause_ms(1);
  reap();
  if (mkdir(row->cgroup, 0755) < 0) dprintf(2, "stage: %s: %s\n", row->cgroup, strerror(errno));
  start(row);
  say("again", which);
}

static void command(char *line) {
  char *word = strsep(&line, " ");
  long which = atol(strsep(&line, " "));
  if (which < 0 || which >= MAX_ROWS) _exit(9);
  if (strcmp(word, "start") == 0) begin(which, line);
  else if (strcmp(word, "again") == 0) again(which);
  else if (strcmp(word, "now") == 0) start(&rows[which]);
  else if (strcmp(word, "stop") == 0) {
    close(rows[which].alive[1]);
    rows[which].is_stopping = 1;
  }
}

int main(void) {
  static char text[MAX_LINE * 4];
  size_t length = 0;
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (;;) {
    reap();
    long long now = now_us();
    for (int i = 0; i < MAX_ROWS; i += 1) {
      struct row *row = &rows[i];
      if (!row->is_used) continue;
      if (!row->is_stopping && row->period && now >= row->due) start(row);
      if (row->is_stopping == 1 && !is_any_alive(row)) {
        row->is_stopping = 2;
        say("stopped", i);
      }
    }
    struct pollfd input = {.fd = 0, .events = POLLIN};
    if (poll(&input, 1, 2) <= 0) continue;
    ssize_t got = read(0, text + length, sizeof text - 1 - length);
    if (got <= 0) return 0;
    length += got;
    text[length] = 0;
    char *line = text, *end;
    for (; (end = strchr(line, '\n')); line = end + 1) {
      *end = 0;
      command(line);
    }
    length -= line - text;
    memmove(text, line, length);
  }
}
