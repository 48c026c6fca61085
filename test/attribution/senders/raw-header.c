/* COUNT UDP datagrams whose IP and UDP headers it writes itself: there is no UDP socket. */
#include <netinet/ip.h>
#include <netinet/udp.h>

#include "sender.h"

enum { SOURCE_PORT = 40000 };

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  int fd = must(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), "socket");
  struct {
    struct iphdr ip;
    struct udphdr udp;
    char data[PAYLOAD_BYTES];
  } packet = {
      .ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .daddr = target.address.v4.sin_addr.s_addr},
      .udp = {.source = htons(SOURCE_PORT), .dest = target.address.v4.sin_port, .len = htons(sizeof packet.udp + PAYLOAD_BYTES)},
  };
  target.address.v4.sin_port = 0;
  for (int i = 0; i < target.count; i++)
    must(sendto(fd, &packet, sizeof packet, 0, &target.address.any, target.length), "sendto");
  return leave(argc, argv);
}
