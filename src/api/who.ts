/** `POST /v1/who`: who a process or a live flow is, and everything that says so. All fields are plain JSON. */

/** `flow` as `parseFlowQuery` reads it. */
export type WhoQuery = { readonly pid: number } | { readonly flow: string };

/** What is not known, and the reason. */
export interface Missing {
  readonly because: string;
}

export type Evidence<T> = T | Missing;

export function isMissing(evidence: object): evidence is Missing {
  return 'because' in evidence;
}

export type WhoReport = ProcessReport | FlowsReport;

export interface ProcessReport {
  readonly kind: 'process';
  readonly process: ProcessEvidence;
  readonly application: ApplicationEvidence;
  /** Its open internet sockets, the first ones. */
  readonly sockets: readonly SocketEvidence[];
  readonly moreSockets: number;
}

/** `flows` is never empty. */
export interface FlowsReport {
  readonly kind: 'flows';
  readonly flows: readonly FlowEvidence[];
  /** Further flows that were not looked at. */
  readonly more: number;
}

export interface FlowEvidence {
  /** `tcp 10.0.0.1:4000 -> 192.0.2.1:443`: from whoever opened it, where that is known. */
  readonly flow: string;
  readonly direction: 'out' | 'in' | 'through' | 'waiting for others' | 'not known';
  /** What the connection's mark says. */
  readonly conntrack: Evidence<MarkEvidence>;
  /** Several where nothing tells which of them it is. */
  readonly sockets: Evidence<readonly SocketEvidence[]>;
  /** One, or where nothing tells which program sends it, each that may. */
  readonly owners: readonly OwnerEvidence[];
}

/** A mark, in hexadecimal with 0x, and what it says. */
export interface MarkEvidence {
  readonly mark: string;
  readonly meaning: string;
  readonly app?: string;
  /** "uplink wifi", "the system’s route", "direct connection", "came in", "refused". */
  readonly way?: string;
  readonly program?: ProgramEvidence;
}

/** `name` as in `exec:/usr/bin/curl`; absent where the number stands for none. `meaning`: in words. */
export interface ProgramEvidence {
  readonly number: number;
  readonly name?: string;
  readonly meaning: string;
}

export interface SocketEvidence {
  /** As the socket has it: local end first. */
  readonly flow: string;
  /** "established", "listening"; "open" where the protocol knows nothing else. */
  readonly state: string;
  readonly inode: number;
  /** As `ss -e` shows it after `sk:`; raw sockets and those of ping have none here. */
  readonly cookie?: string;
  readonly user: AccountEvidence;
  /** In which it was made. */
  readonly cgroup: Evidence<{ readonly path: string }>;
  readonly mark: Evidence<MarkEvidence>;
  readonly creator: Evidence<CreatorEvidence>;
  /** Processes that hold it, the first ones. */
  readonly holders: Evidence<readonly AncestorEvidence[]>;
}

export interface AccountEvidence {
  readonly id: number;
  readonly name?: string;
}

/** What the kernel noted when a socket was made. */
export interface CreatorEvidence {
  /** 0 where the process is in a pid namespace that cannot be seen from here. */
  readonly pid: number;
  readonly startedMs?: number;
  readonly isRunning: boolean;
  /** What it runs by now, where that is another program than the one that made the socket. */
  readonly runsNow?: string;
  /** What its thread called itself. */
  readonly command: string;
  readonly executable: Evidence<{ readonly path: string }>;
  /** The kernel's own key of the executable. */
  readonly executableKey: string;
  readonly user: AccountEvidence;
  readonly program?: ProgramEvidence;
  /** It opens sockets for others: whoever holds one owns it. */
  readonly isBroker?: true;
}

export interface AncestorEvidence {
  readonly pid: number;
  readonly executable?: string;
}

export interface ProcessEvidence {
  readonly pid: number;
  readonly startedMs: number;
  readonly executable: Evidence<ExecutableEvidence>;
  readonly commandLine: readonly string[];
  /** The listed script that it runs. */
  readonly script?: string;
  /** The application with `children: same` that started it. */
  readonly childOf?: string;
  /** The nearest first. */
  readonly parents: readonly AncestorEvidence[];
  readonly cgroup: Evidence<{ readonly path: string }>;
  /** What the names of its cgroups say: "unit ssh.service", "flatpak org.example.Mail". */
  readonly scopes: readonly string[];
  readonly user: Evidence<AccountEvidence>;
  readonly group: Evidence<AccountEvidence>;
  /** By what the kernel marks the sockets that it makes now. */
  readonly program: Evidence<ProgramEvidence>;
  /** It is user-mode networking: the namespaces that it serves, as far as they are found. */
  readonly serves?: readonly ServedEvidence[];
  /** It is in another network namespace, which this daemon does not govern. */
  readonly isElsewhere?: true;
}

/** `namespace`: as `lsns` shows it. Its processes, the first ones. */
export interface ServedEvidence {
  readonly namespace: number;
  readonly processes: readonly AncestorEvidence[];
  readonly more: number;
}

export interface ExecutableEvidence {
  /** As the process's own mounts call it. */
  readonly path: string;
  /** `named`: it is the file that a policy names, by this path; `other`: a policy names that path, but it is another file. */
  readonly file: 'named' | 'other' | 'not named';
  /** By what path policies name it. */
  readonly named?: string;
  /** It was removed or replaced since the process started. */
  readonly isDeleted?: true;
  /** Debian packages that have a file of this path; often none. */
  readonly packages: Evidence<readonly string[]>;
}

export interface OwnerEvidence {
  /** "the kernel noted who made its socket", or why nothing is known. */
  readonly found: string;
  readonly process: Evidence<ProcessEvidence>;
  readonly application: ApplicationEvidence;
}

/** The policy that holds. */
export interface ApplicationEvidence {
  /** Absent: the system default holds, `because` of this. */
  readonly app?: string;
  readonly by?: string;
  readonly at?: { readonly file: string; readonly line: number; readonly column: number };
  readonly because?: string;
}
