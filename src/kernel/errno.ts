/** errno numbers as names and errors. */
import { getSystemErrorMap } from 'node:util';
import { KernelError } from './kernel-error.ts';
import { libc } from './libc.ts';

/** `EPERM` for 1; `E` and the number where Node has no name for it. */
export function errnoName(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[0] ?? `E${errno}`;
}

/** The error of a refusal with this positive errno. `detail` is the kernel's own explanation, where it gave one. */
export function kernelErrorFromErrno(operation: string, errno: number, object: string, detail?: string): KernelError {
  const code = errnoName(errno);
  const text = getSystemErrorMap().get(-errno)?.[1] ?? 'refused';
  return new KernelError(operation, errno, code, object, `${detail ?? text} [${code}]`);
}

/** The error of the C library call that has just failed in this thread. */
export function lastKernelError(operation: string, object: string): KernelError {
  return kernelErrorFromErrno(operation, libc().errno(), object);
}
