import { readlinkSync } from 'node:fs';

/** Whether a process is in the network namespace that this one is in; false also where that may not be seen. */
export function isInOurNetwork(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync('/proc/self/ns/net');
  } catch {
    return false;
  }
}
