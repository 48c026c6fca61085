"""A program that asks names and connects. Reads one JSON request a line, answers each with one JSON line."""
import errno, json, socket, struct, sys, time

A = 1


def resolver():
    with open("/etc/resolv.conf") as lines:
        return next(line.split()[1] for line in lines if line.startswith("nameserver"))


def name_of(error):
    if isinstance(error, socket.gaierror):
        return f"EAI {error.errno}"
    if isinstance(error, TimeoutError):
        return "timeout"
    return errno.errorcode.get(error.errno, str(error))


def look_up(request):
    family = {4: socket.AF_INET, 6: socket.AF_INET6}.get(request.get("family"), socket.AF_UNSPEC)
    found = socket.getaddrinfo(request["name"], None, family, socket.SOCK_STREAM)
    return {"addresses": [address[0] for *_, address in found]}


def connect(host, port):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(8)
        try:
            s.connect((host, port))
            return "connected"
        except OSError as error:
            return name_of(error)


def connect_to(request):
    return {"outcome": connect(request["host"], request["port"])}


def look_up_and_connect(request):
    """The first packet after each answer."""
    outcomes, seen = {}, set()
    for _ in range(request["times"]):
        host = look_up(request)["addresses"][0]
        seen.add(host)
        outcome = connect(host, request["port"])
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return {"outcomes": outcomes, "distinct": len(seen)}


def question(name, identity):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", identity, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", A, 1)


def ask_from(request):
    """One query from a port of the caller's choice."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(8)
        s.bind(("", request["port"]))
        s.connect((resolver(), 53))
        s.send(question(request["name"], 17))
        return {"bytes": len(s.recv(4096))}


def ask_by_tcp(request):
    query = question(request["name"], 4711)
    with socket.create_connection((resolver(), 53), timeout=8) as s:
        s.sendall(struct.pack("!H", len(query)) + query)
        stream = s.makefile("rb")
        answer = stream.read(struct.unpack("!H", stream.read(2))[0])
    identity, _, _, answers = struct.unpack("!HHHH", answer[:8])
    return {"identity": identity, "answers": answers}


def measure(request):
    """Milliseconds from query to answer, by one socket."""
    took = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(8)
        s.connect((request.get("resolver") or resolver(), 53))
        for i in range(request["times"]):
            start = time.perf_counter()
            s.send(question(request["name"], i))
            s.recv(4096)
            took.append((time.perf_counter() - start) * 1000)
    took.sort()
    return {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100]}


HANDLERS = {f.__name__: f for f in (look_up, connect_to, look_up_and_connect, ask_from, ask_by_tcp, measure)}
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"ok": True, **HANDLERS[request["op"]](request)}
    except OSError as error:
        answer = {"ok": False, "error": name_of(error)}
    print(json.dumps(answer), flush=True)
