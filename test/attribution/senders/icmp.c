/* COUNT echo requests. MORE: "ping" by a ping socket, for which the kernel chooses the identifier, "raw" by a raw one. */
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  int is_v6 = target.family == AF_INET6;
  int type = argc > 4 && strcmp(argv[4], "raw") == 0 ? SOCK_RAW : SOCK_DGRAM;
  target.address.v4.sin_port = 0;
  int fd = may_lack(socket(target.family, type, is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP), "socket");
  for (int i = 0; i < target.count; i++) {
    struct icmphdr echo = {.type = is_v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO};
    echo.un.echo.id = htons(getpid() & 0xffff);
    echo.un.echo.sequence = htons(i + 1);
    /* The kernel does it for ping sockets, and for every ICMPv6 one. */
    if (!is_v6 && type == SOCK_RAW) echo.checksum = internet_checksum(&echo, sizeof echo);
    must(sendto(fd, &echo, sizeof echo, 0, &target.address.any, target.length), "sendto");
  }
  return leave(argc, argv);
}
