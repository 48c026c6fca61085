/** Our programs, loaded and on their hooks. */
import { execProgram } from '../../bpf/exec-program.ts';
import { exitProgram } from '../../bpf/exit-program.ts';
import { forkProgram } from '../../bpf/fork-program.ts';
import type { KernelLayout } from '../../bpf/kernel-layout.ts';
import type { MapDescriptors } from '../../bpf/maps.ts';
import { socketProgram } from '../../bpf/socket-program.ts';
import { KernelError } from '../kernel-error.ts';
import {
  attachToCgroup,
  attachToTracepoint,
  BPF_CGROUP_INET_SOCK_CREATE,
  BPF_PROG_TYPE_CGROUP_SOCK,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  loadProgram,
} from './bpf-program.ts';

/** The end of processes first: what is inherited must not outlive the program that it was said of. */
const INHERITANCE = [
  { name: 'pm_exit', tracepoint: 'sched_process_exit', program: exitProgram },
  { name: 'pm_exec', tracepoint: 'sched_process_exec', program: execProgram },
  { name: 'pm_fork', tracepoint: 'sched_process_fork', program: forkProgram },
] as const;

/** Every socket that is made in the cgroup and below is looked at until the result is disposed of. Throws KernelError. */
export function attachSocketProgram(layout: KernelLayout, maps: MapDescriptors, cgroupDir: string): Disposable {
  const program = loadProgram({
    name: 'pm_socket',
    type: BPF_PROG_TYPE_CGROUP_SOCK,
    expectedAttachType: BPF_CGROUP_INET_SOCK_CREATE,
    instructions: socketProgram(layout, maps),
  });
  try {
    return attachToCgroup(program, BPF_CGROUP_INET_SOCK_CREATE, cgroupDir);
  } finally {
    // The link keeps it.
    program[Symbol.dispose]();
  }
}

/** All of them or, where the kernel refuses one, none and the refusal. */
export function attachInheritance(layout: KernelLayout, maps: MapDescriptors): readonly Disposable[] | KernelError {
  const links: Disposable[] = [];
  try {
    for (const { name, tracepoint, program } of INHERITANCE) {
      const instructions = program(layout, maps);
      const loaded = loadProgram({ name, type: BPF_PROG_TYPE_RAW_TRACEPOINT, instructions });
      try {
        links.push(attachToTracepoint(loaded, tracepoint));
      } finally {
        loaded[Symbol.dispose]();
      }
    }
    return links;
  } catch (error) {
    for (const link of links) link[Symbol.dispose]();
    if (!(error instanceof KernelError)) throw error;
    return error;
  }
}
