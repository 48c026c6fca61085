"""Does something to the file of a program that policies name, and starts it at once, again and again.

renewed-programs.py KIND DIRECTORY HOST PORT ROUNDS: prints how many datagrams were sent. DIRECTORY has `source`, the program: a bash.
Each start exchanges a datagram on each of three sockets, and ends.
"""
import os, shutil, subprocess, sys

SOCKETS = 3
# Answers and refusals come in milliseconds, but on a machine that has eight times too much to do.
SEND = 'for i in 1 2 3; do exec 3<>"/dev/udp/$0/$1"; echo x >&3 && read -t 6 -N 1 -u 3; done 2>/dev/null; exit 0'

kind, directory, host, port, rounds = sys.argv[1:]
app, current = (os.path.join(directory, name) for name in ("app", "current"))


def at(name):
    return os.path.join(directory, name)


def fresh(name):
    os.makedirs(os.path.dirname(at(name)), exist_ok=True)
    shutil.copy(at("source"), at(name))
    return at(name)


def switch(target, link):
    os.symlink(target, f"{link}.new")
    os.rename(f"{link}.new", link)


def renamed(_):
    os.rename(fresh("app.new"), app)
    return app


def removed_first(_):
    if os.path.exists(app):
        os.remove(app)
    return fresh("app")


def overwritten(_):
    return fresh("app")


def modes_changed(turn):
    os.chmod(app, 0o755 if turn % 2 == 0 else 0o700)
    return app


def touched(turn):
    os.utime(app, (turn, turn))
    return app


def linked_away(turn):
    os.link(app, at(f"linked{turn}"))
    return at(f"linked{turn}")


def linked_in(turn):
    other = fresh(f"other{turn}")
    os.link(other, f"{app}.new")
    os.rename(f"{app}.new", app)
    return other


def file_link_switched(turn):
    fresh(f"real{turn}")
    switch(f"real{turn}", app)
    return app


def file_link_switched_by_its_own_name(turn):
    return os.path.join(directory, os.readlink(file_link_switched(turn)))


def directory_link_switched(turn):
    fresh(f"version{turn}/app")
    switch(f"version{turn}", current)
    return os.path.join(current, "app")


def directory_link_switched_by_its_own_name(turn):
    directory_link_switched(turn)
    return at(f"version{turn}/app")


def directory_renamed(turn):
    fresh(f"new{turn}/app")
    if os.path.exists(current):
        os.rename(current, at(f"old{turn}"))
    os.rename(at(f"new{turn}"), current)
    return os.path.join(current, "app")


def while_it_changes(turn):
    return app


change = globals()[kind]
# Of another run there may be files, too.
first = os.getpid() * int(rounds)
for turn in range(first, first + int(rounds)):
    path = change(turn)
    if kind != "while_it_changes":
        subprocess.run([path, "-c", SEND, host, port])
        continue
    child = subprocess.Popen([path, "-c", SEND, host, port])
    while child.poll() is None:
        os.chmod(app, 0o700)
        os.chmod(app, 0o755)
print(int(rounds) * SOCKETS, flush=True)
