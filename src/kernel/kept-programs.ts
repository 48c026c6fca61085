/** What BPF programs and maps outlive daemons, where there is a BPF file system: see `bpf/pin-directory.ts`. */
import { hasPinsHere, removePinsHere, removePinsOfGoneNamespaces } from './bpf/pin-directory.ts';
import type { KeptPrograms } from './kernel.ts';

export const linuxKeptPrograms: KeptPrograms = {
  areHere: hasPinsHere,
  remove: () => removePinsHere(),
  removeOfGoneNamespaces: removePinsOfGoneNamespaces,
};
