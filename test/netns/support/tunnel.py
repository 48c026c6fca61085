"""Carries what is sent into a tun device in UDP, in clear: DEVICE HOST PORT connected|unconnected. Says "here", then works."""
import fcntl, socket, struct, sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
device, host, port, how = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
tun = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.bind(("0.0.0.0", 0))
if how == "connected":
    out.connect((host, port))
print("here", flush=True)
while True:
    packet = tun.read(2048)
    for _ in range(2):  # the first error may be about the packet before
        try:
            out.send(packet) if how == "connected" else out.sendto(packet, (host, port))
            break
        except OSError:
            pass
