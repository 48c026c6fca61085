/* COUNT UDP datagrams as whole frames by a packet socket, packet(7). MORE: device, source address, the next hop's link address. */
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <linux/if_packet.h>

#include "sender.h"

int main(int argc, char **argv) {
  struct target target = target_of(argc, argv);
  if (argc < 7) return 2;
  int fd = may_lack(socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)), "socket");
  struct sockaddr_ll link = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = if_nametoindex(argv[4]), .sll_halen = ETH_ALEN};
  memcpy(link.sll_addr, ether_aton(argv[6]), ETH_ALEN);
  struct {
    struct iphdr ip;
    struct udphdr udp;
    char data[PAYLOAD_BYTES];
  } packet = {
      .ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .tot_len = htons(sizeof packet), .daddr = target.address.v4.sin_addr.s_addr},
      .udp = {.source = htons(40001), .dest = target.address.v4.sin_port, .len = htons(sizeof packet.udp + PAYLOAD_BYTES)},
  };
  packet.ip.saddr = inet_addr(argv[5]);
  packet.ip.check = internet_checksum(&packet.ip, sizeof packet.ip);
  for (int i = 0; i < target.count; i++)
    must(sendto(fd, &packet, sizeof packet, 0, (void *)&link, sizeof link), "sendto");
  return leave(argc, argv);
}
