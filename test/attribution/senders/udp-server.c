/* Answers one datagram on PORT, both families, with COUNT payloads and ends. */
#include "sender.h"

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  int fd = must(socket(AF_INET6, SOCK_DGRAM, 0), "socket");
  struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[2]))};
  must(bind(fd, (void *)&here, sizeof here), "bind");
  puts("ready");
  fflush(stdout);
  char question[PAYLOAD_BYTES];
  struct target peer = {.length = sizeof peer.address};
  must(recvfrom(fd, question, sizeof question, 0, &peer.address.any, &peer.length), "recvfrom");
  for (int i = 0; i < atoi(argv[3]); i++) send_to(fd, &peer);
  return 0;
}
