"""Holds connections to a unix socket: hold-control.py PATH KIND COUNT. Says how many it has, and for each line of input how many of them still live."""
import socket
import sys

path, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
SENT = {
    'idle': b'',
    'half a request': b'GET /v1/sta',
    'half a body': b'POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{',
    'watch': b'GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n',
    'an unread answer': b'GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n',
    'requests in a row': b'GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n' * 50,
}[kind]


def open_one():
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(2)
    try:
        connection.connect(path)
        connection.sendall(SENT)
    except OSError:
        return None
    return connection


def lives(connection):
    # An answer lies before the end.
    connection.setblocking(False)
    try:
        while connection.recv(65536) != b'':
            pass
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


held = [connection for connection in (open_one() for _ in range(count)) if connection is not None]
print(len(held), flush=True)
for _ in sys.stdin:
    print(sum(lives(connection) for connection in held), flush=True)
