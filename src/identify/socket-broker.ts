/**
 * Programs that open sockets for others: systemd for its socket units (systemd.socket(5)), inetd and xinetd for their
 * services. Whoever holds such a socket owns it.
 */
import { fileIdentity, isSameFile } from '../kernel/file-identity.ts';
import type { Proc } from '../kernel/proc.ts';

/** Whole paths: anybody can call a program `systemd`. */
export const BROKERS: readonly string[] = [
  '/usr/lib/systemd/systemd',
  '/lib/systemd/systemd',
  '/usr/sbin/inetd',
  '/usr/sbin/inetutils-inetd',
  '/usr/sbin/xinetd',
];

/** `executable`: what the process calls its own file; its mounts may deceive about that, so the files are compared. */
export function isBroker(
  executable: string,
  proc: Proc,
  pid: number,
  fileAt: typeof fileIdentity = fileIdentity,
): boolean {
  if (!BROKERS.includes(executable)) return false;
  const [own, here] = [proc.executableFile(pid), fileAt(executable)];
  return own !== undefined && here !== undefined && isSameFile(own, here);
}
