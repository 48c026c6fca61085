"""PORT: takes TCP connections to every address of this namespace, reads each to its end. For each address that it reads from
stdin it says how many connections there were to it, and how many bytes came."""
import collections, json, selectors, socket, sys

BACKLOG = 1024
counts, sizes = collections.Counter(), collections.Counter()
selector = selectors.DefaultSelector()
listener = socket.socket(socket.AF_INET6)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("::", int(sys.argv[1])))
listener.listen(BACKLOG)
listener.setblocking(False)


def accept():
    connection, _ = listener.accept()
    connection.setblocking(False)
    to = connection.getsockname()[0].removeprefix("::ffff:")
    counts[to] += 1
    selector.register(connection, selectors.EVENT_READ, lambda: read(connection, to))


def read(connection, to):
    try:
        data = connection.recv(65536)
    except OSError:
        data = b""
    sizes[to] += len(data)
    if not data:
        selector.unregister(connection)
        connection.close()


def answer():
    line = sys.stdin.readline()
    if not line:
        sys.exit()
    to = line.strip()
    print(json.dumps({"count": counts[to], "bytes": sizes[to]}), flush=True)


selector.register(listener, selectors.EVENT_READ, accept)
selector.register(sys.stdin, selectors.EVENT_READ, answer)
print("ready", flush=True)
while True:
    for key, _ in selector.select():
        key.data()
