import type { LabStatus } from '../lab/lab-status.ts';
import { labWords } from '../lab/lab-words.ts';

/** What is to be said of a lab's daemon that should answer and does not, with what to type. */
export function labDaemonMissing({
  daemon,
  daemonPid,
  id,
}: Pick<LabStatus, 'daemon' | 'id'> & { readonly daemonPid?: number | undefined }): string | undefined {
  switch (daemon) {
    case 'running':
    case 'none':
      return undefined;
    case 'stopped':
      return `the lab's daemon is stopped: its last policies are in force, and what it has to decide waits; let it go on: sudo kill -CONT ${daemonPid}`;
    case 'not-answering':
      return `the lab's daemon (process ${daemonPid}) does not listen: it starts, or the file of its socket is gone; see pointsman status --lab ${id}`;
    case 'ended':
      return `the lab's daemon has ended; start it again: sudo pointsman ${labWords(id, 'up')}`;
  }
}
