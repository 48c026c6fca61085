"""Sends one router advertisement (RFC 4861 section 4.2): DEVICE LIFETIME_SECONDS PREFIX/64 on-link and for addresses."""
import socket, struct, sys

device, lifetime, prefix = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ND_ROUTER_ADVERT, PREFIX_INFORMATION, ON_LINK_AND_AUTONOMOUS, HOP_LIMIT = 134, 3, 0xC0, 255
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
index = socket.if_nametoindex(device)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
head = struct.pack("!BBHBBHII", ND_ROUTER_ADVERT, 0, 0, 64, 0, lifetime, 0, 0)
network = socket.inet_pton(socket.AF_INET6, prefix)
option = struct.pack("!BBBBIII16s", PREFIX_INFORMATION, 4, 64, ON_LINK_AND_AUTONOMOUS, 3600, 3600, 0, network)
s.sendto(head + option, ("ff02::1", 0, 0, index))
