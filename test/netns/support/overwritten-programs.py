"""Writes other content into the files of a program that policies name, waits, and starts it, again and again.

overwritten-programs.py KIND DIRECTORY HOST PORT ROUNDS WAIT_S: prints how many datagrams were sent. DIRECTORY/app is what is started; each start
exchanges a datagram on each of three sockets, and ends.
"""
import os, shutil, subprocess, sys, time

SOCKETS = 3
PYTHON = os.path.realpath("/usr/bin/python3")
# Answers and refusals come in milliseconds, but on a machine that has eight times too much to do.
SEND = """
import socket, sys
host, port = sys.argv[-2:]
for i in range(%d):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(6)
        try:
            client.connect((host, int(port)))
            client.send(b"x\\n")
            client.recv(100)
        except OSError:
            pass
""" % SOCKETS

kind, directory, host, port, rounds, wait_s = sys.argv[1:]


def at(name):
    return os.path.join(directory, name)


def write(name, content):
    with open(at(name), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    os.chmod(at(name), 0o755)


def replace(name, content):
    write(name + ".new~", content)
    os.rename(at(name + ".new~"), at(name))


def script(interpreter):
    return f"#!{interpreter}\n{SEND}"


def binary():
    with open(PYTHON, "rb") as file:
        return file.read()


def executable(_):
    write("app", binary())
    return [at("app"), "-c", SEND]


def same_interpreter(turn):
    write("app", script(PYTHON) + f"# {turn}\n")


def interpreter_becomes_a_script(turn):
    write("app", script(PYTHON if turn % 2 else at("runner")))


def interpreter_becomes_a_script_that_is_new(turn):
    write(f"runner{turn}", script(PYTHON))
    write("app", script(at(f"runner{turn}")))


def between(turn):
    write("app", script(at("middle")))
    write("middle", script(PYTHON if turn % 2 else at("runner")))


def between_that_is_replaced(turn):
    write("app", script(at("middle")))
    replace("middle", script(PYTHON if turn % 2 else at("runner")))


def binary_becomes_a_script(turn):
    write("app", script(at("engine")))
    write("engine", binary() if turn % 2 else script(at("runner")))


def given_to_its_interpreter(turn):
    write("app", script(at("middle")))
    write("middle", script(PYTHON) + f"# {turn}\n")
    return [at("middle"), at("app")]


write("runner", script(PYTHON))
for turn in range(int(rounds)):
    command = globals()[kind](turn) or [at("app")]
    time.sleep(float(wait_s))
    subprocess.run([*command, host, port])
print(int(rounds) * SOCKETS, flush=True)
