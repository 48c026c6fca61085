"""Runs on, and makes a new UDP socket for each line on standard input: prints the address that the server saw, or an error's name.

running-sender.py HOST PORT
"""
import errno, socket, sys

# Answers come in milliseconds, but on a machine that has eight times too much to do.
TIMEOUT_SECONDS = 6


def exchange(address):
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(TIMEOUT_SECONDS)
        try:
            client.connect(address)
            client.send(b"x\n")
            return client.recv(1024).decode().strip()
        except TimeoutError:
            return "timeout"
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))


host, port = sys.argv[1:]
for _ in sys.stdin:
    print(exchange((host, int(port))), flush=True)
