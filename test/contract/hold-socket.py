"""hold-socket.py KIND: one socket. Prints its own and its peer's port; then, for each line on standard input, what reading from it comes to."""
import errno, socket, sys

kind = sys.argv[1]
is_tcp = "tcp" in kind
family = socket.AF_INET6 if kind.endswith("6") else socket.AF_INET
host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
transport = socket.SOCK_STREAM if is_tcp else socket.SOCK_DGRAM

peer = socket.socket(family, transport)
peer.bind((host, 0))
if is_tcp:
    peer.listen()
port = peer.getsockname()[1]
if kind == "mapped tcp":
    own = socket.socket(socket.AF_INET6, transport)
    own.connect(("::ffff:127.0.0.1", port))
elif kind.endswith("unconnected"):
    own = socket.socket(family, transport)
    own.bind((host, 0))
    own.sendto(b"x", (host, port))
else:
    own = socket.socket(family, transport)
    own.connect((host, port))
own.setblocking(False)
print(own.getsockname()[1], port, flush=True)

for _ in sys.stdin:
    try:
        own.recv(1)
        print("data", flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
