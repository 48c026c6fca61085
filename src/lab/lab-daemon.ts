/** How the daemon in a lab's device is. */
import { holderOfName } from '../kernel/instance-name.ts';
import { isStopped } from '../kernel/stopped-process.ts';
import { labFiles } from './lab-state.ts';
import { isAlive, readRecord } from './process-record.ts';

export type LabDaemon =
  /** Also one that somebody has started there by himself. */
  | 'running'
  /** By a signal or a debugger: what it has to decide waits. */
  | 'stopped'
  /** It starts, or the file of its socket is gone. */
  | 'not-answering'
  /** Its rules are in force, unless it took them away itself. */
  | 'ended'
  /** The lab was built without one. */
  | 'none';

/** `pid` is 0 where none runs, or the kernel does not say. */
export async function labDaemon(stateDir: string): Promise<{ readonly state: LabDaemon; readonly pid: number }> {
  const { socket, daemonPid } = labFiles(stateDir);
  // A stopped one still listens.
  const listener = await holderOfName(socket);
  if (listener !== undefined) return { state: isStopped(listener.pid) ? 'stopped' : 'running', pid: listener.pid };
  const record = await readRecord(daemonPid);
  if (record === undefined) return { state: 'none', pid: 0 };
  return isAlive(record) ? { state: 'not-answering', pid: record.pid } : { state: 'ended', pid: 0 };
}
