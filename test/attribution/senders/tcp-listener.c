/* Takes one connection on PORT, both families, answers with COUNT payloads and ends. */
#include "sender.h"

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  int fd = must(socket(AF_INET6, SOCK_STREAM, 0), "socket");
  struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[2]))};
  int on = 1;
  must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
  must(bind(fd, (void *)&here, sizeof here), "bind");
  must(listen(fd, 1), "listen");
  puts("ready");
  fflush(stdout);
  int peer = must(accept(fd, NULL, NULL), "accept");
  send_on(peer, atoi(argv[3]));
  shutdown(peer, SHUT_WR);
  char byte;
  while (read(peer, &byte, 1) > 0);
  return 0;
}
