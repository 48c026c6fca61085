import { lastKernelError } from './errno.ts';
import { libc } from './libc.ts';

const TUN = '/dev/net/tun';
const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
// linux/if_tun.h: _IOW('T', 202, int) and _IOW('T', 226, int) with the numbers of asm-generic/ioctl.h.
const TUNSETIFF = 0x400454ca;
const TUNSETCARRIER = 0x400454e2;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
// struct ifreq of linux/if.h: the name, then a union whose first member here is the flags.
const IFREQ_BYTES = 40;
const IFNAMSIZ = 16;

/**
 * The user space end of a tun device of the calling thread's network namespace: one read or write of `fd` is one IP packet.
 * Without a user space end such a device has no carrier.
 */
export class TunDevice implements Disposable {
  readonly name: string;
  readonly fd: number;

  private constructor(name: string, fd: number) {
    this.name = name;
    this.fd = fd;
  }

  /** Takes hold of a device that exists, or makes one that goes with the descriptor. Throws KernelError. */
  static open(name: string): TunDevice {
    const bytes = new TextEncoder().encode(name);
    if (bytes.length === 0 || bytes.length >= IFNAMSIZ) throw new RangeError(`not the name of a device: "${name}"`);
    const request = new Uint8Array(IFREQ_BYTES);
    request.set(bytes);
    new DataView(request.buffer).setUint16(IFNAMSIZ, IFF_TUN | IFF_NO_PI, true);
    const fd = libc().open(TUN, O_RDWR | O_CLOEXEC);
    if (fd < 0) throw lastKernelError('open', TUN);
    if (libc().ioctl(fd, TUNSETIFF, request) === 0) return new TunDevice(name, fd);
    const error = lastKernelError('TUNSETIFF', name);
    libc().close(fd);
    throw error;
  }

  /** What the link says of itself to everybody who looks: whether there is a way through it. Throws KernelError. */
  setCarrier(present: boolean): void {
    const value = Uint8Array.of(present ? 1 : 0, 0, 0, 0);
    if (libc().ioctl(this.fd, TUNSETCARRIER, value) < 0) throw lastKernelError('TUNSETCARRIER', this.name);
  }

  [Symbol.dispose](): void {
    libc().close(this.fd);
  }
}
