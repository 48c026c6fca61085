import { AF_INET } from '../../netlink/uapi.ts';
import { lastKernelError } from '../errno.ts';
import { libc } from '../libc.ts';

const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
/** asm-generic/socket.h, since Linux 5.14 */
const SO_NETNS_COOKIE = 71;
const COOKIE_BYTES = 8;

/** The number that the kernel gives the calling thread's network namespace; never given out again. Throws KernelError. */
export function namespaceCookie(): bigint {
  const fd = libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw lastKernelError('socket', '');
  try {
    const cookie = new DataView(new ArrayBuffer(COOKIE_BYTES));
    const length = new Uint8Array([COOKIE_BYTES, 0, 0, 0]);
    const value = new Uint8Array(cookie.buffer);
    if (libc().getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, value, length) < 0) {
      throw lastKernelError('getsockopt', 'SO_NETNS_COOKIE');
    }
    return cookie.getBigUint64(0, true);
  } finally {
    libc().close(fd);
  }
}
