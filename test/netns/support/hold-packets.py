# A packet queue of somebody else's, by its number: whatever comes there waits until a line comes in, again and again.
import socket
import struct
import sys

NETLINK_NETFILTER = 12
NLM_F_REQUEST, NLM_F_ACK = 1, 4
# linux/netfilter/nfnetlink_queue.h
VERDICT_BATCH, CONFIG = 0x303, 0x302
CFG_CMD, CFG_PARAMS, VERDICT_HDR = 1, 2, 2
BIND, COPY_META, NF_ACCEPT, LAST_ID = 1, 1, 1, 0x7FFFFFFF

queue = int(sys.argv[1])
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
netlink.bind((0, 0))


def send(kind, flags, attribute, value):
    padded = value + b"\0" * (-len(value) % 4)
    body = struct.pack(">BBH", 0, 0, queue) + struct.pack("=HH", 4 + len(value), attribute) + padded
    netlink.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body)


def configure(attribute, value):
    send(CONFIG, NLM_F_REQUEST | NLM_F_ACK, attribute, value)
    error = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
    if error != 0:
        sys.exit(f"the kernel refuses the queue: errno {-error}")


configure(CFG_CMD, struct.pack(">BBH", BIND, 0, 0))
configure(CFG_PARAMS, struct.pack(">IB", 0, COPY_META))
print("holding", flush=True)
for _ in sys.stdin:
    try:
        while True:
            netlink.recv(4096, socket.MSG_DONTWAIT)
    except BlockingIOError:
        pass
    send(VERDICT_BATCH, NLM_F_REQUEST, VERDICT_HDR, struct.pack(">II", NF_ACCEPT, LAST_ID))
    print("released", flush=True)
