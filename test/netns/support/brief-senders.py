"""Sends datagrams from sockets that are gone before anybody can look: each is closed right after it has sent.

brief-senders.py close HOST PORT COUNT [LOCAL_PORT]: one socket after the other, from LOCAL_PORT each time where that is stated.
brief-senders.py endless HOST PORT: the same until its input ends.
brief-senders.py cgroup HOST PORT COUNT DIRECTORY: each by a process of its own, in a new cgroup below DIRECTORY, removed at once.
brief-senders.py touched HOST PORT COUNT PROGRAM: each by a process of its own that runs PROGRAM, touched just before.

Prints how many were sent and how many refused.
"""
import os, select, socket, subprocess, sys, time

TRIES = 1000


def open_socket(host, local_port=0):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sender = socket.socket(family, socket.SOCK_DGRAM)
    if local_port != 0:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sender.bind(("", local_port))
    return sender


def send(host, port, local_port=0):
    with open_socket(host, local_port) as sender:
        try:
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


def in_cgroup(host, port, directory):
    os.mkdir(directory)
    child = os.fork()
    if child == 0:
        with open(f"{directory}/cgroup.procs", "w") as file:
            file.write("0")
        os._exit(0 if send(host, port) else 1)
    was_sent = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    remove(directory)
    return was_sent


def touched(host, port, program):
    os.utime(program)
    return subprocess.run([program, __file__, "close", host, str(port), "1"], stdout=subprocess.PIPE).stdout == b"1 0\n"


mode, host, port, *rest = sys.argv[1:]
port = int(port)
outcomes = []
if mode == "endless":
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.002)[0]:
        outcomes.append(send(host, port))
else:
    count = int(rest[0])
    for i in range(count):
        if mode == "close":
            outcomes.append(send(host, port, *map(int, rest[1:])))
        elif mode == "cgroup":
            outcomes.append(in_cgroup(host, port, f"{rest[1]}/{i}"))
        else:
            outcomes.append(touched(host, port, rest[1]))
print(outcomes.count(True), outcomes.count(False), flush=True)
