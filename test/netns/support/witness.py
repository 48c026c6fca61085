"""Prints "SOURCE DESTINATION" of every IP packet that an interface gets, for the destinations on the command line."""
import socket, sys

ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x0800, 0x86DD
PACKET_OUTGOING = 4

interface, wanted = sys.argv[1], set(sys.argv[2:])
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
s.bind((interface, ETH_P_ALL))
print("ready", flush=True)
while True:
    try:
        packet, (_, protocol, kind, *_) = s.recvfrom(2048)
    except OSError:
        continue  # the interface went down
    if kind == PACKET_OUTGOING or protocol not in (ETH_P_IP, ETH_P_IPV6):
        continue
    if protocol == ETH_P_IP:
        source, destination = (socket.inet_ntop(socket.AF_INET, packet[at:at + 4]) for at in (12, 16))
    else:
        source, destination = (socket.inet_ntop(socket.AF_INET6, packet[at:at + 16]) for at in (8, 24))
    if destination in wanted:
        print(source, destination, flush=True)
