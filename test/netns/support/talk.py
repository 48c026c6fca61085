"""An unmodified program that opens connections or takes them, one command a line of JSON on standard input."""
import errno
import json
import socket
import sys
import threading

# linux/in6.h
IPV6_RECVPKTINFO = 49
IPV6_PKTINFO = 50

held = []
peers = []
senders = {}


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def connect(kind, host, port):
    made = socket.socket(family(host), socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    made.settimeout(8)
    try:
        made.connect((host, port))
        made.send(b"x")
        echoed = made.recv(16) == b"x"
        return {"ok": True, "echoed": echoed, "own": made.getsockname()[0]}
    except OSError as error:
        return {"ok": False, "error": type(error).__name__ if error.errno is None else errno_name(error)}
    finally:
        made.close()


def errno_name(error):
    return errno.errorcode.get(error.errno, str(error.errno))


def hold(host, port, own=0):
    """A connection that stays; `ask` sends a byte on it."""
    made = socket.create_connection((host, port), timeout=8, source_address=("", own))
    held.append(made)
    return {"ok": True, "id": len(held) - 1}


def ask(number):
    made = held[number]
    made.settimeout(8)
    try:
        made.send(b"x")
        return {"ok": made.recv(16) == b"x"}
    except OSError as error:
        return {"ok": False, "error": type(error).__name__ if error.errno is None else errno_name(error)}


def datagrams(host, port, own, count):
    """So many from the same port each time it is asked; how many answers come back."""
    made = senders.get(own)
    if made is None:
        made = senders[own] = socket.socket(family(host), socket.SOCK_DGRAM)
        made.bind(("", own))
    made.settimeout(1)
    for _ in range(count):
        made.sendto(b"x", (host, port))
    answers = 0
    try:
        while answers < count and made.recv(16):
            answers += 1
    except OSError:
        pass  # no more, or nobody is there
    return {"ok": True, "answers": answers}


def push():
    """A byte to everybody who has connected, without having been asked."""
    for peer in peers:
        try:
            peer.send(b"!")
        except OSError:
            pass  # it has gone
    return {"ok": True}


def serve_tcp(listener):
    def talk(peer):
        peers.append(peer)
        while data := peer.recv(64):
            peer.send(data)

    while True:
        peer, _ = listener.accept()
        threading.Thread(target=talk, args=[peer], daemon=True).start()


def serve_udp(server):
    """Answers from the address that was asked, as a server on several networks has to (ip(7), IP_PKTINFO)."""
    while True:
        data, ancillary, _, peer = server.recvmsg(64, 256)
        own = [entry for entry in ancillary if entry[:2] == (socket.IPPROTO_IPV6, IPV6_PKTINFO)]
        try:
            server.sendmsg([data], own, 0, peer)
        except OSError:
            pass  # the answer is refused; others may be answered


def listen(kind, port):
    """On all addresses, IPv4 through an AF_INET6 socket too."""
    made = socket.socket(socket.AF_INET6, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("::", port))
    if kind == "tcp":
        made.listen(16)
    else:
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    threading.Thread(target=serve_tcp if kind == "tcp" else serve_udp, args=[made], daemon=True).start()
    return {"ok": True, "port": made.getsockname()[1]}


OPERATIONS = {"connect": connect, "listen": listen, "hold": hold, "ask": ask, "push": push, "datagrams": datagrams}

for line in sys.stdin:
    request = json.loads(line)
    operation = OPERATIONS[request.pop("op")]
    try:
        answer = operation(**request)
    except OSError as error:
        answer = {"ok": False, "error": type(error).__name__ if error.errno is None else errno_name(error)}
    print(json.dumps(answer), flush=True)
