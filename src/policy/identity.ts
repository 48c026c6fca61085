/** Who sends: what the slow path found out, or why it could not. */
export type Owner =
  | ProcessOwner
  | { readonly kind: 'kernel'; readonly sender: string }
  | { readonly kind: 'unknown'; readonly because: string };

export interface ProcessOwner {
  readonly kind: 'process';
  readonly pid: number;
  /** Effective uid of the socket's creator. */
  readonly uid: number;
  /** `/proc/PID/exe`, without a trailing " (deleted)". Absent where it cannot be read. */
  readonly executable?: string;
  /** Path of the socket's cgroup below the cgroup2 root, starting with `/`. */
  readonly cgroup?: string;
  /** The socket came out of a listener's accept(): somebody else opened the connection. */
  readonly accepted?: true;
  readonly commandLine?: readonly string[];
}
