/** Our programs, loaded and on their hooks. */
import { execProgram } from '../../bpf/exec-program.ts';
import { exitProgram } from '../../bpf/exit-program.ts';
import { forkProgram } from '../../bpf/fork-program.ts';
import type { KernelLayout } from '../../bpf/kernel-layout.ts';
import type { MapDescriptors } from '../../bpf/maps.ts';
import { releaseProgram } from '../../bpf/release-program.ts';
import { socketProgram } from '../../bpf/socket-program.ts';
import { KernelError } from '../kernel-error.ts';
import {
  attachToCgroup,
  attachToTracepoint,
  BPF_CGROUP_INET_SOCK_CREATE,
  BPF_CGROUP_INET_SOCK_RELEASE,
  BPF_PROG_TYPE_CGROUP_SOCK,
  BPF_PROG_TYPE_RAW_TRACEPOINT,
  type BpfDescriptor,
  loadProgram,
  updateCgroupLink,
} from './bpf-program.ts';

/** The end of processes first: what is inherited must not outlive the program that it was said of. */
const INHERITANCE = [
  { name: 'pm_exit', link: 'exit', tracepoint: 'sched_process_exit', program: exitProgram },
  { name: 'pm_exec', link: 'exec', tracepoint: 'sched_process_exec', program: execProgram },
  { name: 'pm_fork', link: 'fork', tracepoint: 'sched_process_fork', program: forkProgram },
] as const;

export type SocketLink = 'socket' | 'release';

interface SocketProgram {
  readonly name: string;
  readonly attachType: number;
  readonly program: (layout: KernelLayout, maps: MapDescriptors) => Uint8Array;
}

/** Every socket is looked at when it is made, and when it is closed. */
const SOCKETS: Readonly<Record<SocketLink, SocketProgram>> = {
  socket: { name: 'pm_socket', attachType: BPF_CGROUP_INET_SOCK_CREATE, program: socketProgram },
  release: { name: 'pm_release', attachType: BPF_CGROUP_INET_SOCK_RELEASE, program: releaseProgram },
};

export const SOCKET_LINKS = Object.keys(SOCKETS) as readonly SocketLink[];

/** What holds a program on its hook, by the name that it has among pins. */
export type LinkName = SocketLink | 'exit' | 'exec' | 'fork';
export type Links = ReadonlyMap<LinkName, BpfDescriptor>;
export const LINK_NAMES: readonly LinkName[] = ['socket', 'release', 'exit', 'exec', 'fork'];

/**
 * Every socket in the cgroup and below is looked at for as long as the link is there. `before`: a link that has the program of another
 * version; it is the one that is returned, with the program of this one. Throws KernelError.
 */
export function attachSocketProgram(
  link: SocketLink,
  layout: KernelLayout,
  maps: MapDescriptors,
  to: { readonly cgroupDir: string; readonly before?: BpfDescriptor | undefined },
): BpfDescriptor {
  const { name, attachType, program: instructions } = SOCKETS[link];
  // The link keeps it.
  using program = loadProgram({
    name,
    type: BPF_PROG_TYPE_CGROUP_SOCK,
    expectedAttachType: attachType,
    instructions: instructions(layout, maps),
  });
  if (to.before === undefined) return attachToCgroup(program, attachType, to.cgroupDir);
  updateCgroupLink(to.before, program);
  return to.before;
}

/** All of them or, where the kernel refuses one, none and the refusal. */
export function attachInheritance(layout: KernelLayout, maps: MapDescriptors): Links | KernelError {
  const links = new Map<LinkName, BpfDescriptor>();
  try {
    for (const { name, link, tracepoint, program } of INHERITANCE) {
      const instructions = program(layout, maps);
      using loaded = loadProgram({ name, type: BPF_PROG_TYPE_RAW_TRACEPOINT, instructions });
      links.set(link, attachToTracepoint(loaded, tracepoint));
    }
    return links;
  } catch (error) {
    closeLinks(links);
    if (!(error instanceof KernelError)) throw error;
    return error;
  }
}

export function closeLinks(links: Links): void {
  for (const link of [...links.values()].toReversed()) link[Symbol.dispose]();
}
