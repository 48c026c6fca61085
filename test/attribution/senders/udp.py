#!/usr/bin/python3
"""ADDRESS PORT COUNT [stay]: that many datagrams on one socket."""
import os, socket, sys

family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
for _ in range(int(sys.argv[3])):
    s.send(bytes(100))
if sys.argv[-1] == "stay":
    os.read(3, 1)
