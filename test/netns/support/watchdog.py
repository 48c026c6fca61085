"""What a supervisor with a watchdog does (sd_notify(3), systemd.service(5)): watchdog.py SOCKET SECONDS

Says each first line that it is told, and kills the process whose number it reads when that says nothing for so long after it was ready.
"""
import os
import select
import signal
import socket
import sys

path, seconds = sys.argv[1], float(sys.argv[2])
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.bind(path)
print("listening", flush=True)
pid = int(sys.stdin.readline())
ready = False
while True:
    if not select.select([told], [], [], seconds if ready else None)[0]:
        os.kill(pid, signal.SIGKILL)
        print("killed", flush=True)
        break
    word = told.recv(4096).decode().split("\n")[0]
    ready = ready or word == "READY=1"
    print(word, flush=True)
