"""A name server of a test: name-server.py ADDRESS... ; prints "PROTOCOL CLIENT NAME TYPE" for each query, "ready" before.

rotating.*   one address that nobody has been given before, TTL 0 (198.18.0.0/15 and 2001:db8:2::/48)
alias.*      a CNAME to rotating.target.example, with its address
forged.*     before the true answer: one under another id, one to another question, one from another port
big.*        too large for a datagram: truncated there, whole by TCP
mute.*       no answer
blocked.*    the server's own address, as of servers that block
moving.*     blocked.*, and beside it what rotating.* has
broken.N.*   some bytes of the whole answer changed, some cut off or added: which, is N's
others       the same address always, TTL 60
"""
import itertools, random, socket, socketserver, struct, sys, threading

A, CNAME, TXT, AAAA = 1, 5, 16, 28
FIXED4, FIXED6 = "203.0.113.30", "2001:db8:113::30"
FORGED4 = "203.0.113.40"
fresh = itertools.count(1)
lock = threading.Lock()


def name_at(message, offset):
    labels = []
    while message[offset]:
        length = message[offset]
        labels.append(message[offset + 1:offset + 1 + length].decode("latin-1"))
        offset += length + 1
    return ".".join(labels), offset + 1


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode("latin-1") for label in name.split(".")) + b"\0"


def record(name, kind, ttl, data):
    return encode(name) + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


def address(kind, text):
    return socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, text)


def rotated(kind):
    number = next(fresh)
    if kind == A:
        return address(A, f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}")
    return address(AAAA, f"2001:db8:2::{number:x}")


def records(name, kind, own):
    if kind not in (A, AAAA):
        return []
    if name.startswith("rotating."):
        return [record(name, kind, 0, rotated(kind))]
    if name.startswith(("blocked.", "moving.")):
        here = [] if (":" in own) != (kind == AAAA) else [record(name, kind, 0, address(kind, own))]
        return here + ([record(name, kind, 0, rotated(kind))] if name.startswith("moving.") else [])
    if name.startswith("alias."):
        target = "rotating.target.example"
        return [record(name, CNAME, 0, encode(target)), record(target, kind, 0, rotated(kind))]
    return [record(name, kind, 60, address(kind, FIXED4 if kind == A else FIXED6))]


def message(identity, question, answers, flags=0x8180):
    return struct.pack("!HHHHHH", identity, flags, 1, len(answers), 0, 0) + question + b"".join(answers)


def answer(query, protocol, client, own):
    identity = struct.unpack("!H", query[:2])[0]
    try:
        name, end = name_at(query, 12)
        kind = struct.unpack("!H", query[end:end + 2])[0]
    except (IndexError, struct.error):
        return None, []
    question = query[12:end + 4]
    with lock:
        print(protocol, client, name, {A: "A", AAAA: "AAAA"}.get(kind, kind), flush=True)
    if name.startswith("mute."):
        return None, []
    if name.startswith("big."):
        if protocol == "udp":
            return message(identity, question, [], 0x8380), []
        return message(identity, question, [record(name, A, 60, address(A, FIXED4))] * 20), []
    whole = message(identity, question, records(name, kind, own))
    if name.startswith("broken."):
        return broken(whole, name.split(".")[1]), []
    if not name.startswith("forged.") or kind != A:
        return whole, []
    lie = [record(name, A, 60, address(A, FORGED4))]
    other = encode("www.example.org") + struct.pack("!HH", A, 1)
    return whole, [message(identity ^ 1, question, lie), message(identity, other, lie)]


def broken(whole, seed):
    chance = random.Random(seed)
    out = bytearray(whole)
    for _ in range(chance.randrange(6)):
        # Behind the id, so that it is taken for an answer more often.
        out[chance.randrange(2, len(out))] = chance.choice((0, 1, 0xC0, 0xFF, chance.randrange(256)))
    if chance.random() < 0.3:
        del out[chance.randrange(len(out)):]
    if chance.random() < 0.3:
        out += bytes(chance.choice((0xC0, 0x0C, chance.randrange(256))) for _ in range(chance.randrange(400)))
    return bytes(out)


def serve_udp(own):
    family = socket.AF_INET6 if ":" in own else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((own, 53))
    elsewhere = socket.socket(family, socket.SOCK_DGRAM)
    elsewhere.bind((own, 0))

    def run():
        while True:
            query, client = s.recvfrom(4096)
            whole, lies = answer(query, "udp", client[0], own)
            for lie in lies:
                s.sendto(lie, client)
            if lies:
                # The right id and question, but from another port.
                identity = struct.unpack("!H", query[:2])[0]
                name, end = name_at(query, 12)
                lie = [record(name, A, 60, address(A, FORGED4))]
                elsewhere.sendto(message(identity, query[12:end + 4], lie), client)
            if whole is not None:
                s.sendto(whole, client)

    threading.Thread(target=run, daemon=True).start()


class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            length = self.rfile.read(2)
            if len(length) < 2:
                return
            whole, _ = answer(self.rfile.read(struct.unpack("!H", length)[0]), "tcp", self.client_address[0], self.server.server_address[0])
            if whole is None:
                return
            self.wfile.write(struct.pack("!H", len(whole)) + whole)


def serve_tcp(own):
    class Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6 if ":" in own else socket.AF_INET
        allow_reuse_address = True
        daemon_threads = True

    threading.Thread(target=Server((own, 53), Tcp).serve_forever, daemon=True).start()


for own in sys.argv[1:]:
    serve_udp(own)
    serve_tcp(own)
print("ready", flush=True)
threading.Event().wait()
