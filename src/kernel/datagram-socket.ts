import { AF_INET } from '../netlink/uapi.ts';
import { lastKernelError } from './errno.ts';
import { libc } from './libc.ts';

const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
// asm-generic/socket.h
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const SO_MARK = 36;

/**
 * An IPv4 UDP socket that sends and receives by one device only and carries a firewall mark, which the sockets of Node cannot
 * be given: socket(7). The descriptor is the caller's. Throws KernelError.
 */
export function openDatagramSocket({ device, mark }: { readonly device: string; readonly mark: number }): number {
  const fd = libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw lastKernelError('socket', 'UDP');
  const name = new TextEncoder().encode(device);
  const value = new Uint8Array(4);
  new DataView(value.buffer).setUint32(0, mark, true);
  for (const [option, bytes] of [
    [SO_MARK, value],
    [SO_BINDTODEVICE, name],
  ] as const) {
    if (libc().setsockopt(fd, SOL_SOCKET, option, bytes, bytes.length) < 0) {
      const error = lastKernelError('setsockopt', option === SO_MARK ? 'SO_MARK' : device);
      libc().close(fd);
      throw error;
    }
  }
  return fd;
}
