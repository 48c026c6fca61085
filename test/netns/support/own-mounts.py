"""What any user can do in a user namespace and a mount namespace of his own: an interpreter on a file system of his that lets nobody open it.

    unshare -Urm python3 own-mounts.py SILENT_FUSE DIRECTORY SCRIPT

Mounts SILENT_FUSE with a copy of dash, an overlay over that, and its file over /usr/bin/dash, then withholds its opening and says "ready". With a
line of input it starts SCRIPT, which begins with `#!/bin/sh`, and says "opens" when somebody opens the interpreter. It ends with its input.
"""
import ctypes
import os
import signal
import subprocess
import sys
import threading

FUSE_OPEN = "14"
MS_BIND = 4096

silent_fuse, directory, script = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind, flags, options):
    if libc.mount(source.encode(), target.encode(), kind, flags, options) != 0:
        sys.exit(f"mount {target}: {os.strerror(ctypes.get_errno())}")


for name in ("fuse", "empty", "overlay"):
    os.mkdir(f"{directory}/{name}")
fuse = subprocess.Popen(
    [sys.executable, silent_fuse, f"{directory}/fuse", "/usr/bin/dash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
)


def hear(what):
    for line in fuse.stdout:
        if line.strip() == what:
            return
    sys.exit(f"never heard of: {what}")


def tell_of_opening():
    hear(FUSE_OPEN)
    print("opens", flush=True)


hear("mounted")
fuse.send_signal(signal.SIGUSR1)
hear("answers")
mount("overlay", f"{directory}/overlay", b"overlay", 0, f"lowerdir={directory}/fuse:{directory}/empty,userxattr".encode())
mount(f"{directory}/overlay/program", "/usr/bin/dash", None, MS_BIND, None)
fuse.send_signal(signal.SIGWINCH)
hear("withholds")
print("ready", flush=True)
if os.read(0, 1):
    threading.Thread(target=tell_of_opening, daemon=True).start()
    # Popen() would wait until it is started.
    if os.fork() == 0:
        try:
            os.execv(script, [script])
        except OSError:
            # Its file system is gone.
            os._exit(1)
    while os.read(0, 1):
        pass
fuse.kill()
