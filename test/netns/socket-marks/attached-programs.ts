import { closeSync, openSync } from 'node:fs';
import { BPF_CGROUP_INET_SOCK_CREATE } from '../../../src/kernel/bpf/bpf-program.ts';
import { BPF_PROG_QUERY, BpfAttribute, bpfOrThrow } from '../../../src/kernel/bpf/syscall.ts';

const MAX_PROGRAMS = 256;

/** Ids of the programs that are attached to this very cgroup, whoever did it: what bpftool shows. */
export function attachedPrograms(cgroupDir: string): readonly number[] {
  const fd = openSync(cgroupDir, 'r');
  try {
    const ids = new Uint8Array(MAX_PROGRAMS * 4);
    const attribute = new BpfAttribute(28)
      .u32(0, fd)
      .u32(4, BPF_CGROUP_INET_SOCK_CREATE)
      .pointer(16, ids)
      .u32(24, MAX_PROGRAMS);
    bpfOrThrow(BPF_PROG_QUERY, attribute, 'query programs', cgroupDir);
    const view = new DataView(ids.buffer);
    return Array.from({ length: attribute.readU32(24) }, (_, index) => view.getUint32(index * 4, true));
  } finally {
    closeSync(fd);
  }
}
