"""A program with sockets. Reads one JSON request a line, answers each with one JSON line."""
import errno, json, socket, sys, threading, time

SO_MARK = 36
sockets = {}
streams = {}


def name_of(error):
    if isinstance(error, socket.timeout):
        return "timeout"
    return errno.errorcode.get(error.errno, str(error))


def target(request):
    family = socket.AF_INET6 if ":" in request["host"] else socket.AF_INET
    return family, (request["host"], request["port"])


def open_socket(request):
    family, address = target(request)
    kind = socket.SOCK_STREAM if request["kind"] == "tcp" else socket.SOCK_DGRAM
    s = socket.socket(family, kind)
    s.settimeout(request.get("timeoutMs", 8000) / 1000)
    if "mark" in request:
        s.setsockopt(socket.SOL_SOCKET, SO_MARK, request["mark"])
    sockets[request["id"]] = (s, address if request["kind"] == "udp" else None)
    if request["kind"] != "udp":
        s.connect(address)
    return {}


def send(s, address):
    if address is None:
        s.send(b"x")
    else:
        s.sendto(b"x", address)


def echo(request):
    """Sends one byte and waits for its echo."""
    s, address = sockets[request["id"]]
    s.settimeout(request.get("timeoutMs", 8000) / 1000)
    send(s, address)
    return {"echoed": s.recv(64)[:1] == b"x"}


def wait(request):
    """Waits for something to arrive, and finds what has become of the socket."""
    s, _ = sockets[request["id"]]
    s.settimeout(request["timeoutMs"] / 1000)
    return {"echoed": s.recv(64)[:1] == b"x"}


def stream(request):
    """Sends and receives in the background, whatever errors there are."""
    s, address = sockets[request["id"]]
    counts = {"sent": 0, "received": 0, "failed": 0}
    stop = threading.Event()

    def run():
        s.settimeout(0)
        while not stop.wait(request["everyMs"] / 1000):
            for action, key in ((lambda: send(s, address), "sent"), (lambda: s.recv(4096), "received")):
                try:
                    action()
                    counts[key] += 1
                except BlockingIOError:
                    pass
                except OSError:
                    counts["failed"] += 1

    thread = threading.Thread(target=run, daemon=True)
    streams[request["id"]] = (thread, stop, counts)
    thread.start()
    return {}


def churn(request):
    """Begins new connections and sends new datagrams in the background, as fast as it can, whatever becomes of them."""
    counts = {"sent": 0, "received": 0, "failed": 0, "refused": 0}
    stop = threading.Event()
    family, address = target(request)

    def run():
        while not stop.is_set():
            s = socket.socket(family, socket.SOCK_STREAM if request["kind"] == "tcp" else socket.SOCK_DGRAM)
            s.settimeout(request.get("timeoutMs", 20) / 1000)
            try:
                s.connect(address)
                s.send(b"x")
                counts["sent"] += 1
                s.recv(64)
                counts["received"] += 1
            except OSError as error:
                counts["failed"] += 1
                counts["refused"] += not isinstance(error, socket.timeout)
            finally:
                s.close()
            stop.wait(request.get("everyMs", 0) / 1000)

    thread = threading.Thread(target=run, daemon=True)
    streams[request["id"]] = (thread, stop, counts)
    thread.start()
    return {}


def counts(request):
    return dict(streams[request["id"]][2])


def end_stream(request):
    thread, stop, _ = streams.pop(request["id"])
    stop.set()
    thread.join()
    return {}


def local_port(request):
    return {"port": sockets[request["id"]][0].getsockname()[1]}


def close(request):
    sockets.pop(request["id"])[0].close()
    return {}


OPERATIONS = {f.__name__: f for f in (echo, wait, churn, stream, counts, end_stream, local_port, close)}
OPERATIONS["open"] = open_socket

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"ok": True, **OPERATIONS[request["op"]](request)}
    except OSError as error:
        answer = {"ok": False, "error": name_of(error)}
    print(json.dumps(answer), flush=True)
