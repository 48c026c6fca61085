/**
 * The C library's own functions, bound in one place. Everything here is the plain system call: -1 and `errno()` on
 * failure. koffi is loaded on first use, so that commands which never talk to the kernel do not pay for it.
 */
import { createRequire } from 'node:module';

export interface Libc {
  /** The calling thread's errno; valid only directly after the call that failed. */
  errno(): number;
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  connect(fd: number, address: Uint8Array, length: number): number;
  getsockname(fd: number, address: Uint8Array, length: Uint8Array): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array): number;
  send(fd: number, bytes: Uint8Array, length: number, flags: number): number;
  recv(fd: number, bytes: Uint8Array, length: number, flags: number): number;
  /** `fds` is an array of struct pollfd {int fd; short events; short revents}. */
  poll(fds: Uint8Array, count: number, timeoutMs: number): number;
  /** The same in a thread of libuv's pool, which it occupies. Its errno is lost. `fds` must not be touched meanwhile. */
  pollInPool(fds: Uint8Array, count: number, timeoutMs: number, done: (failure: unknown, ready: number) => void): void;
  ioctl(fd: number, request: number, argument: Uint8Array): number;
  eventfd(initial: number, flags: number): number;
  open(path: string, flags: number): number;
  read(fd: number, bytes: Uint8Array, length: number): number;
  write(fd: number, bytes: Uint8Array, length: number): number;
  close(fd: number): number;
  setns(fd: number, namespaceType: number): number;
  memfd_create(name: string, flags: number): number;
  dup3(from: number, to: number, flags: number): number;
  fanotify_init(flags: number, eventFileFlags: number): number;
  fanotify_mark(fd: number, flags: number, mask: number, directoryFd: number, path: string): number;
  /** `handler` is SIG_DFL (0) or SIG_IGN (1): a function cannot be one. */
  signal(number: number, handler: number): number;
  /** `path` ends with a NUL. */
  statx(directoryFd: number, path: Uint8Array, flags: number, mask: number, result: Uint8Array): number;
  /** `number` is SYS_openat2; `path` ends with a NUL, `how` is a struct open_how. */
  openat2(number: number, directoryFd: number, path: Uint8Array, how: Uint8Array, size: number): number;
  unshare(flags: number): number;
  pthread_sigmask(how: number, set: Uint8Array, before: Uint8Array): number;
  /** Ends the process at once: no thread is waited for. */
  _exit(code: number): void;
  lgetxattr(path: string, name: string, value: Uint8Array, size: number): number;
  /** A system call by its number, one of those whose arguments are a number, a struct and its size. */
  syscall(number: number, first: number, struct: Uint8Array, size: number): number;
  /** SYS_pidfd_open; the C library's own is younger than the oldest one that we run with. */
  pidfd_open(number: number, pid: number, flags: number): number;
  /** `number` is SYS_pidfd_getfd. */
  pidfd_getfd(number: number, pidFd: number, fd: number, flags: number): number;
  /** Where the bytes lie, for structs that point to others: as long as the array lives, so keep it until after the call. */
  address(bytes: Uint8Array): bigint;
}

const PROTOTYPES = {
  socket: 'int socket(int, int, int)',
  bind: 'int bind(int, const void *, uint)',
  connect: 'int connect(int, const void *, uint)',
  getsockname: 'int getsockname(int, void *, void *)',
  setsockopt: 'int setsockopt(int, int, int, const void *, uint)',
  getsockopt: 'int getsockopt(int, int, int, void *, void *)',
  send: 'long send(int, const void *, size_t, int)',
  recv: 'long recv(int, void *, size_t, int)',
  poll: 'int poll(void *, ulong, int)',
  ioctl: 'int ioctl(int, ulong, void *)',
  eventfd: 'int eventfd(uint, int)',
  open: 'int open(const char *, int)',
  read: 'long read(int, void *, size_t)',
  write: 'long write(int, const void *, size_t)',
  close: 'int close(int)',
  setns: 'int setns(int, int)',
  memfd_create: 'int memfd_create(const char *, uint)',
  dup3: 'int dup3(int, int, int)',
  fanotify_init: 'int fanotify_init(uint, uint)',
  fanotify_mark: 'int fanotify_mark(int, uint, uint64_t, int, const char *)',
  signal: 'intptr_t signal(int, intptr_t)',
  statx: 'int statx(int, const void *, int, uint, void *)',
  openat2: 'long syscall(long, long, const void *, const void *, long)',
  unshare: 'int unshare(int)',
  pthread_sigmask: 'int pthread_sigmask(int, const void *, void *)',
  _exit: 'void _exit(int)',
  lgetxattr: 'long lgetxattr(const char *, const char *, void *, size_t)',
  syscall: 'long syscall(long, long, void *, long)',
  pidfd_open: 'long syscall(long, long, long)',
  pidfd_getfd: 'long syscall(long, long, long, long)',
} as const satisfies Record<Exclude<keyof Libc, 'errno' | 'pollInPool' | 'address'>, string>;

function bindLibc(): Libc {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  // The running program itself: its C library's symbols, whatever that library's file is called (glibc, musl).
  const program = koffi.load(null);
  const functions = Object.entries(PROTOTYPES).map(([name, prototype]) => [name, program.func(prototype)]);
  const pollInPool = program.func(PROTOTYPES.poll).async as Libc['pollInPool'];
  const address = (bytes: Uint8Array): bigint => koffi.address(bytes);
  return { ...Object.fromEntries(functions), pollInPool, address, errno: () => koffi.errno() } as Libc;
}

/** The bindings; the first call in a thread loads them (about 10 ms). Keep the result where calls are frequent. */
export const libc: () => Libc = onFirstUse(bindLibc);

function onFirstUse<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
