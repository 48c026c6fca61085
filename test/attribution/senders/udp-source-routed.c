/* COUNT datagrams by loose source route (RFC 791) through ADDRESS to MORE. */
#include <netinet/ip.h>

#include "sender.h"

int main(int argc, char **argv) {
  struct target via = target_of(argc, argv);
  if (argc < 5) return 2;
  struct target target = target_at(argv[4], atoi(argv[2]));
  int fd = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");
  unsigned char option[12] = {IPOPT_NOP, IPOPT_LSRR, 7, 4};
  memcpy(option + 4, &via.address.v4.sin_addr, 4);
  must(setsockopt(fd, IPPROTO_IP, IP_OPTIONS, option, 8), "IP_OPTIONS");
  for (int i = 0; i < via.count; i++) send_to(fd, &target);
  return leave(argc, argv);
}
