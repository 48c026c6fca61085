"""Sends to HOST by a way that who looks for a gap would try. Prints "sent", or the error's name.

odd-sender.py WAY HOST PORT [MORE...]
MORE: of foreign-source an address, of the source routes who is to pass it on, of reconnected and dissolved whom it is connected to before, of
sticky-pktinfo and scoped a device, of marked a mark, of simultaneous-open the port from which it connects, of the starts a command line.
"""
import ctypes
import errno
import mmap
import os
import socket
import struct
import subprocess
import sys
import threading
import time

UDP_CORK, UDP_SEGMENT = 1, 103
IPPROTO_MPTCP, IPPROTO_UDPLITE = 262, 136
MSG_FASTOPEN, MSG_ZEROCOPY, SO_ZEROCOPY = 0x20000000, 0x4000000, 60
IP_OPTIONS, IP_FREEBIND, IPV6_PKTINFO, IPV6_RTHDR, IPV6_FREEBIND = 4, 15, 50, 57, 78
IPOPT_NOOP, IPOPT_LSRR, SEGMENT_ROUTING_HEADER = 1, 131, 4
CLONE_PARENT, CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUSER, CLONE_NEWPID = 0x8000, 0x20000, 0x2000000, 0x10000000, 0x20000000
SIGCHLD = 17
# Of x86-64.
SYS_CLONE, SYS_IO_URING_SETUP, SYS_IO_URING_ENTER = 56, 425, 426
IORING_SETUP_SQPOLL, IOSQE_ASYNC, IORING_OFF_SQES = 2, 16, 0x10000000
IORING_ENTER_GETEVENTS, IORING_ENTER_SQ_WAKEUP = 1, 2
IORING_OP_SENDMSG, IORING_OP_CONNECT, IORING_OP_SEND, IORING_OP_SOCKET = 9, 16, 26, 45
LOADER = "/lib64/ld-linux-x86-64.so.2"
ENOUGH_SECONDS = 30

libc = ctypes.CDLL(None, use_errno=True)
way, host, port, *more = sys.argv[1:]
port = int(port)
six = ":" in host
family = socket.AF_INET6 if six else socket.AF_INET
level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
DATA = b"x\n"


def udp(protocol=0):
    return socket.socket(family, socket.SOCK_DGRAM, protocol)


def exchange(sock, address=host):
    sock.settimeout(ENOUGH_SECONDS)
    sock.connect((address, port))
    sock.send(DATA)
    sock.recv(99)


def datagram():
    udp().sendto(DATA, (host, port))


def tcp():
    exchange(socket.socket(family, socket.SOCK_STREAM))


def fragments():
    udp().sendto(bytes(5000), (host, port))


def connected_fragments():
    sock = udp()
    sock.connect((host, port))
    sock.send(bytes(5000))


def corked():
    sock = udp()
    sock.setsockopt(socket.IPPROTO_UDP, UDP_CORK, 1)
    sock.sendto(DATA, (host, port))
    sock.setsockopt(socket.IPPROTO_UDP, UDP_CORK, 0)


def segmented():
    sock = udp()
    sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 100)
    sock.sendto(bytes(1000), (host, port))


def zero_copy():
    sock = udp()
    sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
    sock.sendmsg([bytes(1000)], [], MSG_ZEROCOPY, (host, port))


def spliced():
    sock = udp()
    sock.connect((host, port))
    read, write = os.pipe()
    os.write(write, DATA)
    os.splice(read, sock.fileno(), len(DATA))


def fast_open():
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.sendto(DATA, MSG_FASTOPEN, (host, port))
    sock.recv(99)


def mptcp():
    exchange(socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP))


def several_paths():
    """Keeps the connection until the other path is answered."""
    join_and_wait_for("MPJoinSynAckRx")


def several_paths_briefly():
    """Ends when the other path has been tried."""
    join_and_wait_for("MPJoinSynTx")


def join_and_wait_for(counter):
    sock = socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP)
    before = joins(counter)
    exchange(sock)
    while joins(counter) == before:
        time.sleep(0.02)


def joins(counter):
    """Paths that were added to connections, in this network namespace."""
    with open("/proc/net/netstat") as file:
        names, values = [line.split() for line in file if line.startswith("MPTcpExt")]
    return sum(int(value) for name, value in zip(names, values) if name.startswith(counter))


def udp_lite():
    udp(IPPROTO_UDPLITE).sendto(DATA, (host, port))


def mapped():
    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(DATA, ("::ffff:" + host, port))


def mapped_tcp():
    exchange(socket.socket(socket.AF_INET6, socket.SOCK_STREAM), "::ffff:" + host)


def reconnected():
    """Has the source that fits somebody else."""
    sock = udp()
    sock.connect((more[0], port))
    sock.connect((host, port))
    sock.send(DATA)


def dissolved():
    sock = udp()
    sock.connect((more[0], port))
    libc.connect(sock.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16)
    sock.sendto(DATA, (host, port))


def foreign_source():
    sock = udp()
    sock.setsockopt(level, IPV6_FREEBIND if six else IP_FREEBIND, 1)
    sock.bind((more[0], 0))
    sock.sendto(DATA, (host, port))


def sticky_pktinfo():
    sock = udp()
    sock.setsockopt(level, IPV6_PKTINFO, struct.pack("=16sI", bytes(16), socket.if_nametoindex(more[0])))
    sock.sendto(DATA, (host, port))


def scoped():
    udp().sendto(DATA, (host, port, 0, socket.if_nametoindex(more[0])))


def source_route():
    sock = udp()
    if six:
        header = struct.pack("BBBBBBH", 0, 4, SEGMENT_ROUTING_HEADER, 1, 1, 0, 0)
        sock.setsockopt(level, IPV6_RTHDR, header + bytes(16) + socket.inet_pton(family, more[0]))
    else:
        sock.setsockopt(level, IP_OPTIONS, bytes([IPOPT_NOOP, IPOPT_LSRR, 7, 4]) + socket.inet_aton(more[0]))
    sock.sendto(DATA, (host, port))


def simultaneous_open():
    """Data for whoever knocks while we do."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(ENOUGH_SECONDS)
    sock.bind(("", int(more[0])))
    print("ready", flush=True)
    sock.connect((host, port))
    sock.send(DATA)


class Ring:
    """io_uring(7), one request at a time: the kernel makes the calls, in a thread of its own where flags say so."""

    def __init__(self, setup_flags, request_flags):
        params = bytearray(struct.pack("=8x2I", setup_flags, 0).ljust(120, b"\0"))
        self.flags = request_flags
        self.fd = libc.syscall(SYS_IO_URING_SETUP, 4, (ctypes.c_char * 120).from_buffer(params))
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup")
        entries, wanted = struct.unpack_from("=2I", params)
        _, self.tail, _, _, _, _, array = struct.unpack_from("=7I", params, 40)
        self.done, _, mask, _, _, self.results = struct.unpack_from("=6I", params, 80)
        self.ring = mmap.mmap(self.fd, max(array + 4 * entries, self.results + 16 * wanted))
        self.requests = mmap.mmap(self.fd, 64 * entries, offset=IORING_OFF_SQES)
        self.mask = struct.unpack_from("=I", self.ring, mask)[0]
        struct.pack_into("=I", self.ring, array, 0)

    def call(self, operation, fd, offset, address, length):
        struct.pack_into("=BBHiQQI28x", self.requests, 0, operation, self.flags, 0, fd, offset, address, length)
        # Always the first request: the array that the tail walks along names no other.
        tail = struct.unpack_from("=I", self.ring, self.tail)[0]
        struct.pack_into("=I", self.ring, self.tail, tail + 1)
        flags = IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP
        while libc.syscall(SYS_IO_URING_ENTER, self.fd, 1, 1, flags, 0, 0) < 0:
            if ctypes.get_errno() != errno.EINTR:
                raise OSError(ctypes.get_errno(), "io_uring_enter")
        head = struct.unpack_from("=I", self.ring, self.done)[0]
        result = struct.unpack_from("=8xi", self.ring, self.results + 16 * (head & self.mask))[0]
        struct.pack_into("=I", self.ring, self.done, head + 1)
        if result < 0:
            raise OSError(-result, "io_uring")
        return result


def c_address():
    number = socket.inet_pton(family, host)
    text = struct.pack("=HHI16sI" if six else "=HH4s8x", family, socket.htons(port), *((0, number, 0) if six else (number,)))
    return ctypes.create_string_buffer(text, len(text))


def datagram_by_ring(setup_flags=0, request_flags=0):
    ring = Ring(setup_flags, request_flags)
    fd = ring.call(IORING_OP_SOCKET, family, socket.SOCK_DGRAM, 0, 0)
    to, data = c_address(), ctypes.create_string_buffer(DATA)
    vector = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(data), len(DATA)))
    message = struct.pack("=QI4xQQQQI4x", ctypes.addressof(to), len(to), ctypes.addressof(vector), 1, 0, 0, 0)
    message = ctypes.create_string_buffer(message, len(message))
    ring.call(IORING_OP_SENDMSG, fd, 0, ctypes.addressof(message), 1)


def datagram_by_ring_worker():
    datagram_by_ring(request_flags=IOSQE_ASYNC)


def datagram_by_ring_poller():
    datagram_by_ring(IORING_SETUP_SQPOLL)


def tcp_by_ring(setup_flags=0, request_flags=0):
    ring = Ring(setup_flags, request_flags)
    fd = ring.call(IORING_OP_SOCKET, family, socket.SOCK_STREAM, 0, 0)
    to, data = c_address(), ctypes.create_string_buffer(DATA)
    ring.call(IORING_OP_CONNECT, fd, len(to), ctypes.addressof(to), 0)
    ring.call(IORING_OP_SEND, fd, 0, ctypes.addressof(data), len(DATA))
    socket.socket(fileno=fd).recv(99)


def tcp_by_ring_poller():
    tcp_by_ring(IORING_SETUP_SQPOLL)


def marked():
    sock = udp()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, int(more[0], 16))
    sock.sendto(DATA, (host, port))


def unshared(flags):
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def in_child(send, fork=os.fork):
    """It says by its exit code with which error."""
    child = fork()
    if child == 0:
        try:
            send()
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 0:
        raise OSError(code, os.strerror(code))


def started(*command):
    """Another program sends."""
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.strip()
    if text != "sent":
        raise OSError(getattr(errno, text, errno.EPERM), text)


def send():
    started(*more) if len(more) > 1 else datagram()


def in_thread():
    failed = []

    def run():
        try:
            send()
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def in_user_namespace():
    unshared(CLONE_NEWUSER)
    send()


def in_new_namespaces():
    unshared(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWCGROUP)
    in_child(send)


def forked_twice():
    def orphan():
        os.setsid()
        in_child(send)

    in_child(orphan)


def orphaned():
    """Its parents are gone before it sends; its end of the pipe says when it has ended."""
    read, write = os.pipe()
    if os.fork() == 0:
        parent = os.getpid()
        if os.fork() == 0:
            os.close(read)
            while os.getppid() == parent:
                os.sched_yield()
            try:
                send()
                os.write(write, b"0")
            except OSError as error:
                os.write(write, b"%d" % error.errno)
        os._exit(0)
    os.wait()
    os.close(write)
    code = int(os.read(read, 9) or b"1")
    if code != 0:
        raise OSError(code, os.strerror(code))


def as_sibling():
    """A child that has not us, but our parent for a parent."""
    read, write = os.pipe()
    if libc.syscall(SYS_CLONE, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) == 0:
        try:
            send()
            os.write(write, b"0")
        except OSError as error:
            os.write(write, b"%d" % error.errno)
        os._exit(0)
    os.close(write)
    code = int(os.read(read, 9) or b"1")
    if code != 0:
        raise OSError(code, os.strerror(code))


def from_memory():
    descriptor = os.memfd_create("x", 0)
    with open(more[0], "rb") as file:
        os.sendfile(descriptor, file.fileno(), 0, os.fstat(file.fileno()).st_size)
    started(f"/proc/{os.getpid()}/fd/{descriptor}", *more[1:])


def by_loader():
    started(LOADER, *more)


def from_copy():
    path = f"{sys.executable}-copy"
    with open(more[0], "rb") as old, open(path, "wb") as new:
        new.write(old.read())
    os.chmod(path, 0o755)
    try:
        started(path, *more[1:])
    finally:
        os.unlink(path)


WAYS = {name.replace("_", "-"): value for name, value in globals().items() if callable(value)}
try:
    WAYS[way]()
    print("sent", flush=True)
except TimeoutError:
    print("hangs", flush=True)
except OSError as error:
    print(errno.errorcode.get(error.errno, str(error)), flush=True)
