"""Makes a cgroup anew again and again, and each time sends from it by processes of its own.

cgroup-senders.py DIRECTORY HOST PORT ROUNDS GAP_MS PROCESSES: prints how many datagrams were answered, and of how many.
Each process joins the cgroup, exchanges a datagram on each of three sockets, and ends.
"""
import os, socket, sys, time

SOCKETS = 3
TRIES = 1000
# Answers and refusals come in milliseconds, but on a machine that has eight times too much to do.
TIMEOUT_SECONDS = 6


def remove(directory):
    for _ in range(TRIES):
        try:
            return os.rmdir(directory)
        except OSError:
            # Whoever has ended is still in it for a moment.
            time.sleep(0.001)
    raise TimeoutError(directory)


def exchange(directory, address):
    with open(f"{directory}/cgroup.procs", "w") as file:
        file.write("0")
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    answered = 0
    for _ in range(SOCKETS):
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.settimeout(TIMEOUT_SECONDS)
            try:
                sender.connect(address)
                sender.send(b"x\n")
                sender.recv(1024)
                answered += 1
            except OSError:
                pass
    os._exit(answered)


directory, host, port, rounds, gap, processes = sys.argv[1:]
answered = 0
for _ in range(int(rounds)):
    if os.path.isdir(directory):
        remove(directory)
    time.sleep(int(gap) / 1000)
    os.mkdir(directory)
    for _ in range(int(processes)):
        child = os.fork()
        if child == 0:
            exchange(directory, (host, int(port)))
        answered += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
remove(directory)
print(answered, int(rounds) * int(processes) * SOCKETS, flush=True)
