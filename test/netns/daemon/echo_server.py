"""Answers each line (TCP) or datagram (UDP) with the address that it came from, on both families. Arguments: ports."""
import socket, sys, threading


def plain(address):
    return address[7:] if address.startswith("::ffff:") else address


def serve_connection(connection, peer):
    with connection:
        while connection.recv(1024):
            connection.sendall((plain(peer) + "\n").encode())


def serve_tcp(port):
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", port))
    listener.listen(64)
    while True:
        connection, address = listener.accept()
        threading.Thread(target=serve_connection, args=(connection, address[0]), daemon=True).start()


def serve_udp(host, family, port):
    server = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((host, port))
    while True:
        _, address = server.recvfrom(2048)
        server.sendto((plain(address[0]) + "\n").encode(), address)


for port in map(int, sys.argv[3:]):
    threading.Thread(target=serve_tcp, args=(port,)).start()
    threading.Thread(target=serve_udp, args=(sys.argv[1], socket.AF_INET, port)).start()
    threading.Thread(target=serve_udp, args=(sys.argv[2], socket.AF_INET6, port)).start()
print("ready", flush=True)
