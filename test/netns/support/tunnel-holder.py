"""Carries a tun or tap device on, as a VPN's program does: DEVICE tun|tap HOST PORT connected|unconnected|fresh.

Of what goes into the device, what has "inner" in it is sent to HOST in UDP: by one socket, or each by a new one. Says "here" when it holds the
device, then a line for each packet: "sent", or the name of the error.
"""
import errno, fcntl, socket, struct, sys

TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0001, 0x0002, 0x1000
device, layer, host, port, how = sys.argv[1:]
tun = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), (IFF_TAP if layer == "tap" else IFF_TUN) | IFF_NO_PI))


def outer():
    out = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    if how == "connected":
        out.connect((host, int(port)))
    return out


out = None if how == "fresh" else outer()
print("here", flush=True)
while True:
    packet = tun.read(65535)
    if b"inner" not in packet:
        continue
    socket_of_packet = out or outer()
    for last in (False, True):  # the first error may be about the packet before
        try:
            socket_of_packet.sendto(packet[:1000], (host, int(port))) if how != "connected" else socket_of_packet.send(packet[:1000])
            print("sent", flush=True)
            break
        except OSError as error:
            if last or error.errno != errno.ECONNREFUSED:
                print(errno.errorcode[error.errno], flush=True)
                break
