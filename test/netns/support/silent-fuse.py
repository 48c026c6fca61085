"""A file system that never answers: it says hello to the kernel, takes every question, and is silent.

    silent-fuse.py DIRECTORY [FILE]

Mounts itself at the directory, says "mounted", and for each question a line with its number (enum fuse_opcode). With SIGUSR1 it begins
to answer: a directory with one file `program`, which is what FILE is (/usr/bin/python3). With SIGUSR2 it is silent again. With SIGHUP it says
what a file is, and not what is in it, nor in the directory; with SIGWINCH it does not let anybody open it either. It ends when its input ends;
what waits for it is told then.
"""
import ctypes
import os
import signal
import stat
import struct
import sys
import threading

FUSE_LOOKUP, FUSE_FORGET, FUSE_GETATTR, FUSE_OPEN, FUSE_READ, FUSE_STATFS, FUSE_INIT = 1, 2, 3, 14, 15, 17, 26
FUSE_READDIR, FUSE_OPENDIR, FUSE_READDIRPLUS = 28, 27, 44
CONTENT = (FUSE_READ, FUSE_READDIR, FUSE_READDIRPLUS)
FOPEN_KEEP_CACHE = 2
ROOT, PROGRAM = 1, 2
ENOENT, ENOSYS = 2, 38
MS_NOSUID, MS_NODEV = 2, 4
MNT_DETACH = 2

directory = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
if libc.mount(b"silent", directory.encode(), b"fuse", MS_NOSUID | MS_NODEV, options.encode()) != 0:
    sys.exit(f"mount: {os.strerror(ctypes.get_errno())}")

with open((sys.argv[2:] or ["/usr/bin/python3"])[0], "rb") as file:
    content = file.read()
answers = False
withholds = ()
waiting = []


def attributes(node):
    mode, size = (stat.S_IFDIR | 0o755, 0) if node == ROOT else (stat.S_IFREG | 0o755, len(content))
    # struct fuse_attr: ino, size, blocks, atime, mtime, ctime, their nanoseconds, mode, nlink, uid, gid, rdev, blksize, flags
    return struct.pack("<QQQQQQIIIIIIIIII", node, size, 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def reply(unique, body=b"", error=0):
    os.write(device, struct.pack("<IiQ", 16 + len(body), -error, unique) + body)


def answer(request):
    _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
    if opcode == FUSE_FORGET:
        return
    if opcode == FUSE_LOOKUP:
        if request[40:].split(b"\0")[0] != b"program":
            return reply(unique, error=ENOENT)
        reply(unique, struct.pack("<QQQQII", PROGRAM, 0, 0, 0, 0, 0) + attributes(PROGRAM))
    elif opcode == FUSE_GETATTR:
        reply(unique, struct.pack("<QII", 0, 0, 0) + attributes(node))
    elif opcode in (FUSE_OPEN, FUSE_OPENDIR):
        # What is in FILE is asked for each time that it is opened.
        reply(unique, struct.pack("<QII", 0, 0 if sys.argv[2:] else FOPEN_KEEP_CACHE, 0))
    elif opcode == FUSE_READ:
        _, offset, size = struct.unpack_from("<QQI", request, 40)
        reply(unique, content[offset : offset + size])
    elif opcode == FUSE_STATFS:
        # struct fuse_kstatfs: five counts, block size, length of names, fragment size
        reply(unique, struct.pack("<QQQQQIII7I", 0, 0, 0, 0, 0, 4096, 255, 4096, *[0] * 7))
    else:
        reply(unique, error=ENOSYS)


def begin(*_):
    global answers, withholds
    answers, withholds = True, ()
    while waiting:
        answer(waiting.pop(0))
    print("answers", flush=True)


def withhold(number, _):
    global answers, withholds
    answers, withholds = True, CONTENT if number == signal.SIGHUP else (*CONTENT, FUSE_OPEN)
    print("withholds", flush=True)


def stop(*_):
    global answers
    answers = False
    print("silent", flush=True)


def serve():
    while True:
        try:
            request = os.read(device, 1 << 20)
        except OSError:
            return
        _, opcode, unique, _ = struct.unpack_from("<IIQQ", request)
        if opcode == FUSE_INIT:
            major, minor = struct.unpack_from("<II", request, 40)
            reply(unique, struct.pack("<IIIIHHIIHHI7I", 7, min(minor, 31), 65536, 0, 16, 12, 65536, 1, 0, 0, 0, *[0] * 7))
            print("mounted", flush=True)
        elif answers and opcode not in withholds:
            answer(request)
        else:
            waiting.append(request)
            print(opcode, flush=True)


signal.signal(signal.SIGUSR1, begin)
signal.signal(signal.SIGUSR2, stop)
signal.signal(signal.SIGHUP, withhold)
signal.signal(signal.SIGWINCH, withhold)
threading.Thread(target=serve, daemon=True).start()
while os.read(0, 1):
    pass
libc.umount2(directory.encode(), MNT_DETACH)
os._exit(0)
