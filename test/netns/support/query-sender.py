"""Sends to a name server what no resolver library would. Reads one JSON request a line, answers each with one JSON line."""
import json, socket, sys, threading

TIMEOUT_S = 10
held = []
queries = []


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def send_datagrams(request):
    """Each from a socket of its own, without waiting for answers."""
    for data in request["data"]:
        with socket.socket(family_of(request["host"]), socket.SOCK_DGRAM) as s:
            s.connect((request["host"], request["port"]))
            try:
                s.send(bytes.fromhex(data))
            except OSError:
                pass
    return {}


def flood(request):
    """From one socket, for as long as this program lives; whoever asked for it is answered at once."""
    def run():
        s = socket.socket(family_of(request["host"]), socket.SOCK_DGRAM)
        s.connect((request["host"], request["port"]))
        while True:
            try:
                s.send(bytes.fromhex(request["data"]))
            except OSError:
                pass

    threading.Thread(target=run, daemon=True).start()
    return {}


def hold_queries(request):
    """Each from a socket of its own, which stays open."""
    for data in request["data"]:
        s = socket.socket(family_of(request["host"]), socket.SOCK_DGRAM)
        s.connect((request["host"], request["port"]))
        s.send(bytes.fromhex(data))
        queries.append(s)
    return {}


def ask_datagram(request):
    """The first answer to one datagram."""
    with socket.socket(family_of(request["host"]), socket.SOCK_DGRAM) as s:
        s.connect((request["host"], request["port"]))
        s.settimeout(TIMEOUT_S / request["times"])
        for last in [False] * (request["times"] - 1) + [True]:
            s.send(bytes.fromhex(request["data"]))
            try:
                return {"answer": s.recv(65_535).hex()}
            except TimeoutError:
                if last:
                    raise


def send_streams(request):
    """Each on a connection of its own, until the other side has said all that it says and closes."""
    answers = []
    for data in request["data"]:
        try:
            with socket.create_connection((request["host"], request["port"]), timeout=TIMEOUT_S) as s:
                s.sendall(bytes.fromhex(data))
                s.shutdown(socket.SHUT_WR)
                answers.append(b"".join(iter(lambda: s.recv(4096), b"")).hex())
        except OSError as error:
            answers.append(type(error).__name__)
    return {"answers": answers}


def hold_connections(request):
    """How many are there; they stay open, and say nothing."""
    opened = 0
    for _ in range(request["count"]):
        try:
            held.append(socket.create_connection((request["host"], request["port"]), timeout=TIMEOUT_S))
            opened += 1
        except OSError:
            pass
    return {"opened": opened}


def open_connections(request):
    """Of those that were held: which the other side has not ended."""
    alive = 0
    for s in held:
        s.setblocking(False)
        try:
            alive += s.recv(1) != b""
        except BlockingIOError:
            alive += 1
        except OSError:
            pass
    return {"alive": alive}


HANDLERS = {f.__name__: f for f in (send_datagrams, flood, hold_queries, ask_datagram, send_streams, hold_connections, open_connections)}
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"ok": True, **HANDLERS[request["op"]](request)}
    except OSError as error:
        answer = {"ok": False, "error": type(error).__name__}
    print(json.dumps(answer), flush=True)
