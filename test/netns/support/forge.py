"""Sends one packet from an address that is another one's: forge.py tcp|udp|ping SOURCE PORT DESTINATION PORT. The ports of a ping are its identifier."""
import socket
import struct
import sys

IPPROTO_ICMPV6 = 58
# linux/in.h, linux/in6.h
IP_TRANSPARENT = 19
IPV6_TRANSPARENT = 75

kind, source, own, destination, port = sys.argv[1:]
v6 = ":" in destination
types = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "ping": socket.SOCK_RAW}
icmp = IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
made = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, types[kind], icmp if kind == "ping" else 0)
if v6:
    made.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
else:
    made.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
made.bind((source, 0 if kind == "ping" else int(own)))
if kind == "ping":
    # The kernel computes the checksum of ICMPv6.
    header = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, int(own), 1)
    total = sum(struct.unpack("!4H", header))
    checksum = 0 if v6 else ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    made.sendto(header[:2] + struct.pack("!H", checksum) + header[4:], (destination, 0))
elif kind == "udp":
    made.sendto(b"x", (destination, int(port)))
else:
    made.setblocking(False)
    made.connect_ex((destination, int(port)))
