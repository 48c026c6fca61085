import type { KernelSender } from './kernel-senders.ts';

/** Who sends: what the slow path found out, or why it could not. */
export type Owner =
  | SingleOwner
  /**
   * Several programs may have sent it, and nothing tells which: each is decided, and the strictest decision holds.
   * Never empty.
   */
  | { readonly kind: 'one of'; readonly candidates: readonly SingleOwner[] };

/** Whoever may be decided about: the owner of a socket here, or a container whose packets this machine forwards. */
export type Sender = Owner | ContainerOwner;

/** Containers in one network namespace of their own: nothing tells which of them sends. */
export interface ContainerOwner {
  readonly kind: 'container';
  /** Paths below the cgroup2 root. */
  readonly cgroups: readonly string[];
}

export type SingleOwner = ProcessOwner | UnknownOwner | KernelOwner;

/** The kernel itself, by a socket of its own or by none. `sender`: absent where the flow tells it (`kernelSender`). */
export interface KernelOwner {
  readonly kind: 'kernel';
  readonly sender?: KernelSender;
}

/** What the kernel told of it all the same is kept: policies for its user and its cgroup hold. */
export interface UnknownOwner {
  readonly kind: 'unknown';
  readonly because: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly cgroup?: string;
  readonly cgroupGone?: true;
  /** What it called itself, where that is all that is left of it (comm, proc(5)). */
  readonly command?: string;
  /** A connection was in use, and nobody has it any more: what is still sent of it is the kernel's. */
  readonly ended?: true;
}

export interface ProcessOwner {
  readonly kind: 'process';
  readonly pid: number;
  /** Effective uid of the socket's creator. */
  readonly uid: number;
  /** Effective gid of the socket's creator. Absent where nobody looked. */
  readonly gid?: number;
  /**
   * The file that it runs: by the path that a policy names, where it is that file by another name or a link; otherwise
   * `/proc/PID/exe`, without a trailing " (deleted)". Absent where nobody looked.
   */
  readonly executable?: string;
  /**
   * `executable` is only what the process's own mounts call it: it was not compared with the file of that name here, or is
   * another. No `exec` entry holds for it, and where one names that path the owner counts as unknown.
   */
  readonly executableUnproven?: true;
  /**
   * It runs a file that was the executable of this name, by the path that a policy names, and is not there any more; whether it has been started
   * before or since is not known. Such an owner is weighed as both, as this executable and without it.
   */
  readonly formerly?: string;
  /** The script that it runs as its main program, by the path that a policy names. */
  readonly script?: string;
  /** The application with `children: same` that started it, directly or through others. */
  readonly childOf?: string;
  /** It may have run any script that policies name: an interpreter that has ended, of whose script nothing is known. */
  readonly mayHaveRunScript?: true;
  /** Nothing tells which application with `children: same` started it, if any did. */
  readonly mayBeChild?: true;
  /** Path of the socket's cgroup below the cgroup2 root, starting with `/`. */
  readonly cgroup?: string;
  /** The cgroup itself is gone, and nobody knows its name: `cgroup` is one above it. */
  readonly cgroupGone?: true;
  /** The socket came out of a listener's accept(): somebody else opened the connection. */
  readonly accepted?: true;
  /** Not read on the packet path: no policy speaks of it, and it may hold what is not for the history. */
  readonly commandLine?: readonly string[];
  /**
   * How the process was found: the kernel noted who created the socket, or it is a process that holds it. A former creator
   * has ended, or runs another program by now: it is known by what was noted of it.
   */
  readonly foundBy?: 'creator' | 'former creator' | 'holder';
  /** The kernel's own key of its executable (`bpf/records.ts`), where it was noted. */
  readonly executableKey?: string;
}
