/*
 * accept-close PORT: the other end of connect. Nothing waits in accept(2): whether waking a sleeping processor is part of
 * a connect would be chance, and more than what is measured. The backlog is emptied once a millisecond instead.
 */
#include "load.h"
#include <fcntl.h>

#define PAUSE_US 1000

int main(int count, char **words) {
  if (count != 2) {
    fputs("usage: accept-close PORT\n", stderr);
    return 2;
  }
  int listener = listen_on(words[1]);
  if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0) fail("fcntl");
  for (;;) {
    for (int connection; (connection = accept(listener, NULL, NULL)) >= 0;) close(connection);
    usleep(PAUSE_US);
  }
}
