"""A program that makes sockets on request. Reads one JSON request a line, answers each with one JSON line.

A request's "via" leads through children: the first number is the child that gets the rest of it.
"""
import json, os, socket, struct, sys, threading

SO_MARK, SO_COOKIE, SO_NETNS_COOKIE = 36, 57, 71
children = []
channel = [0, 1]
kept = []


def read_line(fd):
    line = b""
    while not line.endswith(b"\n"):
        got = os.read(fd, 65536)
        if not got:
            os._exit(0)
        line += got
    return line


def start_ticks():
    with open("/proc/self/stat", "rb") as stat:
        return int(stat.read().rsplit(b")", 1)[1].split()[19])


def describe():
    return {"pid": os.getpid(), "startTicks": start_ticks()}


def make_socket(request):
    s = socket.socket(request["family"], request["type"], request["protocol"])
    made = {"mark": s.getsockopt(socket.SOL_SOCKET, SO_MARK),
            "cookie": str(struct.unpack("Q", s.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0])}
    if "ownMark" in request:
        s.setsockopt(socket.SOL_SOCKET, SO_MARK, request["ownMark"])
        made["mark"] = s.getsockopt(socket.SOL_SOCKET, SO_MARK)
    if request.get("keep"):
        kept.append(s)
    else:
        s.close()
    return made


def in_thread(request):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(make_socket(request)))
    thread.start()
    thread.join()
    return answers[0]


def fork(request):
    to_child, from_child = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        children.clear()
        channel[:] = [to_child[0], from_child[1]]
        os.close(to_child[1])
        os.close(from_child[0])
        return describe()
    os.close(to_child[0])
    os.close(from_child[1])
    children.append((to_child[1], from_child[0], pid))
    return json.loads(read_line(from_child[0]))


def run(request):
    for fd in channel:
        os.set_inheritable(fd, True)
    os.dup2(channel[0], 0)
    os.dup2(channel[1], 1)
    # argv[0] is not the file's name: nothing may depend on it.
    os.execv(request["file"], ["agent", "-I", "-S", __file__])


def run_memory(_):
    """The same interpreter, from a file without a name."""
    fd = os.memfd_create("agent", 0)
    with open("/proc/self/exe", "rb") as own:
        os.sendfile(fd, own.fileno(), 0, os.fstat(own.fileno()).st_size)
    os.set_inheritable(fd, True)
    run({"file": f"/proc/self/fd/{fd}"})


def end_child(request):
    to_child, from_child, pid = children[request["child"]]
    os.close(to_child)
    os.waitpid(pid, 0)
    return {}


OPERATIONS = {"describe": lambda _: describe(), "socket": make_socket, "socket_in_thread": in_thread,
              "fork": fork, "exec": run, "exec_memory": run_memory, "end_child": end_child}


def answer(request):
    via = request["via"]
    if via:
        to_child, from_child, _ = children[via[0]]
        os.write(to_child, json.dumps({**request, "via": via[1:]}).encode() + b"\n")
        return json.loads(read_line(from_child))
    try:
        return OPERATIONS[request["op"]](request)
    except OSError as error:
        return {"error": error.strerror}


os.write(channel[1], json.dumps(describe()).encode() + b"\n")
while True:
    reply = answer(json.loads(read_line(channel[0])))
    os.write(channel[1], json.dumps(reply).encode() + b"\n")
