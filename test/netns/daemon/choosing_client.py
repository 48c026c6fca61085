"""Sends from a socket for which a program chose device, source or mark itself. One line: what the server saw, or an error's name.

choosing_client.py KIND HOST PORT CHOICE...
KIND: tcp, udp (connected), udp-unconnected. CHOICE: device=NAME, multicast=NAME, unicast=NAME, pktinfo=NAME, source=ADDRESS, mark=NUMBER.
"""
import errno
import socket
import struct
import sys

IP_UNICAST_IF = 50
IPV6_UNICAST_IF = 76
IP_PKTINFO = 8
ENOUGH_SECONDS = 45

kind, host, port, *choices = sys.argv[1:]
port = int(port)
six = ":" in host
sock = socket.socket(
    socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
)
# As long as nobody waits for: a connection that hangs says so.
sock.settimeout(ENOUGH_SECONDS)
ancillary = []
for name, value in (choice.split("=", 1) for choice in choices):
    if name == "device":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, value.encode())
    elif name == "multicast" and six:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(value))
    elif name == "multicast":
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=iii", 0, 0, socket.if_nametoindex(value)))
    elif name == "unicast" and six:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_UNICAST_IF, struct.pack("!I", socket.if_nametoindex(value)))
    elif name == "unicast":
        sock.setsockopt(socket.IPPROTO_IP, IP_UNICAST_IF, struct.pack("!I", socket.if_nametoindex(value)))
    elif name == "pktinfo" and six:
        info = struct.pack("=16sI", bytes(16), socket.if_nametoindex(value))
        ancillary.append((socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info))
    elif name == "pktinfo":
        info = struct.pack("=i4s4s", socket.if_nametoindex(value), bytes(4), bytes(4))
        ancillary.append((socket.IPPROTO_IP, IP_PKTINFO, info))
    elif name == "source":
        sock.bind((value, 0))
    elif name == "mark":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("=I", int(value, 0)))
try:
    if kind == "udp-unconnected":
        sock.sendmsg([b"x\n"], ancillary, 0, (host, port))
    else:
        sock.connect((host, port))
        sock.sendall(b"x\n")
    is_group = host.startswith("2") and 224 <= int(host.split(".")[0]) < 240 if not six else host.startswith("ff")
    print("sent" if is_group else sock.recv(99).decode().strip(), flush=True)
except TimeoutError:
    print("hangs", flush=True)
except OSError as error:
    print(errno.errorcode.get(error.errno, str(error)), flush=True)
