/* COUNT threads at once, each with a connection of its own. */
#include <pthread.h>

#include "sender.h"

static void *connect_and_send(void *target) {
  int fd = connected(SOCK_STREAM, 0, target);
  send_on(fd, 1);
  close(fd);
  return NULL;
}

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  pthread_t *threads = calloc(target.count, sizeof *threads);
  for (int i = 0; i < target.count; i++) {
    errno = pthread_create(&threads[i], NULL, connect_and_send, &target);
    must(-(errno != 0), "pthread_create");
  }
  for (int i = 0; i < target.count; i++) pthread_join(threads[i], NULL);
  return leave(argc, argv);
}
