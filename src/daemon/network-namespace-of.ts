/** Whether a process is in the network namespace that this daemon governs. */
import { fileIdentity, isSameFile } from '../kernel/file-identity.ts';

/** False only where it is known to be in another one. */
export function isInOurNetwork(pid: number): boolean {
  const [own, its] = [fileIdentity('/proc/thread-self/ns/net'), fileIdentity(`/proc/${pid}/ns/net`)];
  return own === undefined || its === undefined || isSameFile(own, its);
}
