"""Sends one packet for each line of JSON on standard input, as the socket that it says; then a marker on each link, past all rules."""
import errno
import json
import os
import socket
import struct
import sys

SO_MARK = 36
# IEEE 802 local experimental ethertype 1.
MARKER = 0x88B5
PAYLOAD = b"x" * 24


def open_socket(family, sending, destination):
    if sending == "tcp":
        return socket.socket(family, socket.SOCK_STREAM)
    if sending == "icmp":
        # ping sockets are of the family that they send by.
        if ":" in destination:
            return socket.socket(socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6)
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    return socket.socket(family, socket.SOCK_DGRAM)


def spelled(made, address):
    return f"::ffff:{address}" if made.family == socket.AF_INET6 and ":" not in address else address


def send(sending, family, destination, port, mark, uid, bound=None, device=None):
    os.seteuid(uid)
    try:
        made = open_socket(socket.AF_INET if family == 4 else socket.AF_INET6, sending, destination)
    finally:
        os.seteuid(0)
    with made:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, SO_MARK, struct.pack("=I", mark))
        if device is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        if bound is not None:
            made.bind((spelled(made, bound), 0))
        peer = (spelled(made, destination), port)
        if sending == "tcp":
            try:
                made.connect(peer)
            except BlockingIOError:
                pass
        elif sending == "icmp":
            echo = 128 if made.family == socket.AF_INET6 else 8
            made.sendto(struct.pack("!BBHHH", echo, 0, 0, 7, 1) + PAYLOAD, (peer[0], 0))
        elif sending == "udp connected":
            made.connect(peer)
            made.send(PAYLOAD)
        else:
            made.sendto(PAYLOAD, peer)
        return made.getsockname()[0]


links = {}
for name in sys.argv[1:]:
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind((name, 0))
    links[name] = link

for line in sys.stdin:
    request = json.loads(line)
    number = request.pop("number")
    try:
        answer = {"ok": True, "own": send(**request).removeprefix("::ffff:")}
    except OSError as error:
        answer = {"ok": False, "error": errno.errorcode.get(error.errno, str(error))}
    for link in links.values():
        link.send(b"\xff" * 6 + b"\x02" * 6 + struct.pack("!HI", MARKER, number) + b"\0" * 46)
    print(json.dumps(answer), flush=True)
