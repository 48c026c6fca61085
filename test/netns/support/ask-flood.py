"""
Sends one datagram each from ever new sockets, so that each is a new flow: ask-flood.py flood ADDRESS... until its input ends, as fast as it goes;
or ask-flood.py once PORT ADDRESS..., for each line of input one datagram to each address at the next port. Says what became of them.
"""
import collections
import errno
import select
import socket
import sys

outcomes = collections.Counter()


def send(address, port):
    one = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        one.sendto(b'x', (address, port))
        outcomes['sent'] += 1
    except OSError as error:
        outcomes[errno.errorcode[error.errno]] += 1
    return one


def report():
    print(' '.join(f'{what}={count}' for what, count in sorted(outcomes.items())), flush=True)


if sys.argv[1] == 'flood':
    kept = collections.deque(maxlen=500)
    port = 0
    # More than there is room for in any queue.
    while sum(outcomes.values()) < 8192:
        port += 1
        kept.append(send(sys.argv[2], 1024 + port))
    print('started', flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        for address in sys.argv[2:]:
            for _ in range(50):
                port = port % 60000 + 1
                kept.append(send(address, 1024 + port))
    report()
else:
    port = int(sys.argv[2])
    print('started', flush=True)
    for _ in sys.stdin:
        port += 1
        outcomes.clear()
        kept = [send(address, port) for address in sys.argv[3:]]
        report()
