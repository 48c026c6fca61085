"""Sends datagrams from sockets that are gone before anybody can look: each is closed right after it has sent.

brief-senders.py close HOST PORT FROM COUNT: one socket after the other.
brief-senders.py same HOST PORT FROM COUNT: the same, from one port.
brief-senders.py endless HOST PORT FROM: the same as close, until its input ends.
brief-senders.py cgroup HOST PORT FROM COUNT DIRECTORY: each by a process of its own, in a new cgroup below DIRECTORY, removed at once.
brief-senders.py touched HOST PORT FROM COUNT PROGRAM: each by a process of its own that runs PROGRAM, touched just before.

Each datagram has a port of its own, the first FROM, so that none is taken over from somebody else. Prints how many were sent and how
many refused.
"""
import os, select, socket, subprocess, sys, time

TRIES = 1000
PORTS = 3500


def send(host, port, local_port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        try:
            sender.bind(("", local_port))
            sender.sendto(b"x\n", (host, port))
            return True
        except OSError:
            return False


def remove(directory):
    for _ in range(TRIES):
        try:
            return os.rmdir(directory)
        except OSError:
            time.sleep(0.001)
    raise TimeoutError(directory)


def in_cgroup(host, port, local_port, directory):
    os.mkdir(directory)
    child = os.fork()
    if child == 0:
        with open(f"{directory}/cgroup.procs", "w") as file:
            file.write("0")
        os._exit(0 if send(host, port, local_port) else 1)
    was_sent = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    remove(directory)
    return was_sent


def touched(host, port, local_port, program):
    os.utime(program)
    return subprocess.run([program, __file__, "close", host, str(port), str(local_port), "1"], stdout=subprocess.PIPE).stdout == b"1 0\n"


mode, host, port, first, *rest = sys.argv[1:]
port, first = int(port), int(first)
outcomes = []
if mode == "endless":
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.005)[0]:
        outcomes.append(send(host, port, first + len(outcomes) % PORTS))
else:
    for i in range(int(rest[0])):
        local_port = first if mode == "same" else first + i
        if mode in ("close", "same"):
            outcomes.append(send(host, port, local_port))
        elif mode == "cgroup":
            outcomes.append(in_cgroup(host, port, local_port, f"{rest[1]}/{i}"))
        else:
            outcomes.append(touched(host, port, local_port, rest[1]))
print(outcomes.count(True), outcomes.count(False), flush=True)
