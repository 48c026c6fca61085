import { DecodeError } from '../netlink/errors.ts';
import { KernelError } from './kernel-error.ts';
import type { Subject } from './netlink-socket.ts';

/** Runs a decoder; bytes that it cannot read are a failure of the operation they answer. Throws KernelError. */
export function decodeReply<T>({ operation, object }: Subject, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new KernelError(operation, 0, '', object, `the answer cannot be read: ${error.message}`, { cause: error });
  }
}
