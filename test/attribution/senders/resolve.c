/* Asks the configured resolvers for a name, MORE, by the C library. */
#include <netdb.h>

#include "sender.h"

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  struct addrinfo *found;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  int error = getaddrinfo(argv[4], NULL, &hints, &found);
  if (error == 0) return 0;
  fprintf(stderr, "%s\n", gai_strerror(error));
  return 1;
}
