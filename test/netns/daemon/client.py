"""A program under policy. Prints what it lived through, one line an exchange: the address that the server saw, or an error's name.

client.py tcp|udp|udp-unconnected HOST PORT        one exchange
client.py hold tcp|udp|udp-unconnected HOST PORT   one socket, an exchange for each line on standard input
"""
import errno, socket, sys

# Answers come in milliseconds, but on a machine that has eight times too much to do.
TIMEOUT_SECONDS = 6


def name_of(error):
    if isinstance(error, TimeoutError):
        return "timeout"
    return errno.errorcode.get(error.errno, str(error))


def open_socket(kind, address):
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    client = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    client.settimeout(TIMEOUT_SECONDS)
    if kind != "udp-unconnected":
        client.connect(address)
    return client


def exchange(client, kind, address):
    if kind == "udp-unconnected":
        client.sendto(b"x\n", address)
    else:
        client.sendall(b"x\n")
    return client.recv(1024).decode().strip() or "closed"


def attempt(action):
    try:
        return action()
    except OSError as error:
        return name_of(error)


arguments = sys.argv[1:]
held = arguments[0] == "hold"
kind, host, port = arguments[1:] if held else arguments
address = (host, int(port))
try:
    client = open_socket(kind, address)
except OSError as error:
    print(name_of(error), flush=True)
    sys.exit(0)
print(attempt(lambda: exchange(client, kind, address)), flush=True)
if held:
    for _ in sys.stdin:
        print(attempt(lambda: exchange(client, kind, address)), flush=True)
