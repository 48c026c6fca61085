import { lastKernelError } from './errno.ts';
import { libc } from './libc.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** sun_path of sys/un.h. */
const MAX_PATH_BYTES = 108;
const FAMILY_BYTES = 2;

/** `address`: of NOTIFY_SOCKET; a path, or `@` and a name without a file. */
export function isNotifyAddress(address: string): boolean {
  return /^[/@]./.test(address) && Buffer.byteLength(address) < MAX_PATH_BYTES && !address.includes('\0');
}

/** One message of sd_notify(3), never waited for: a supervisor that does not read is not to stop who tells it so. Throws KernelError. */
export function notify(address: string, text: string): void {
  const fd = libc().socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw lastKernelError('socket', 'AF_UNIX');
  try {
    // Each time: the supervisor may have another socket there by now.
    const to = socketAddress(address);
    if (libc().connect(fd, to, to.length) < 0) throw lastKernelError('connect', address);
    const bytes = Buffer.from(text);
    if (libc().send(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) throw lastKernelError('send', address);
  } finally {
    libc().close(fd);
  }
}

/** `struct sockaddr_un`, in the machine's order. */
function socketAddress(address: string): Uint8Array {
  const name = Buffer.from(address.startsWith('@') ? `\0${address.slice(1)}` : `${address}\0`);
  const family = new Uint8Array(Uint16Array.of(AF_UNIX).buffer, 0, FAMILY_BYTES);
  return Buffer.concat([family, name]);
}
