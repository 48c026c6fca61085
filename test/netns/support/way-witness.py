"""Prints each packet that arrives on any device, and each marker of way-sender.py: one line of JSON each."""
import json
import socket
import struct

ETH_P_ALL = 3
ETH_P_IP = 0x0800
ETH_P_IPV6 = 0x86DD
MARKER = 0x88B5
OUTGOING = 4

taken = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(ETH_P_ALL))
taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
print(json.dumps({"ready": True}), flush=True)


def packet(kind, data):
    if kind == ETH_P_IP:
        return data[9], socket.inet_ntop(socket.AF_INET, data[12:16]), socket.inet_ntop(socket.AF_INET, data[16:20]), data[(data[0] & 15) * 4 :]
    return data[6], socket.inet_ntop(socket.AF_INET6, data[8:24]), socket.inet_ntop(socket.AF_INET6, data[24:40]), data[40:]


while True:
    frame, (device, _, direction, *_) = taken.recvfrom(2048)
    if direction == OUTGOING or device == "lo":
        continue
    (kind,) = struct.unpack("!H", frame[12:14])
    if kind == MARKER:
        (number,) = struct.unpack("!I", frame[14:18])
        print(json.dumps({"marker": number, "device": device}), flush=True)
    elif kind in (ETH_P_IP, ETH_P_IPV6):
        protocol, source, destination, rest = packet(kind, frame[14:])
        port = struct.unpack("!H", rest[2:4])[0] if protocol in (6, 17) else 0
        seen = {"device": device, "router": frame[:6].hex(":"), "protocol": protocol}
        print(json.dumps({**seen, "source": source, "destination": destination, "port": port}), flush=True)
