/** Where what the kernel knows of programs is kept for the daemon after this one, or why it cannot be. */
import { ensureBpfFileSystem } from '../kernel/bpf/bpf-file-system.ts';
import type { PinsToUse } from '../kernel/bpf/linux-socket-marks.ts';
import { pinDirectory } from '../kernel/bpf/pin-directory.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { AppIds } from '../store/app-ids.ts';

/** `ids`: numbers that were lost say nothing about what somebody kept. */
export async function pinsToUse(root: string, ids: Pick<AppIds, 'wereLost'>): Promise<PinsToUse | string> {
  try {
    return (await ensureBpfFileSystem()) ?? { directory: pinDirectory(root), adopts: !ids.wereLost };
  } catch (error) {
    if (error instanceof KernelError) return error.message;
    throw error;
  }
}
