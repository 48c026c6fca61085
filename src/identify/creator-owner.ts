/**
 * The owner of a socket from what the kernel noted when it was made: the process, the file it ran, its cgroup. Holds for
 * processes that have ended, too. The file is told by the kernel's own key, so neither a process's mounts nor another file
 * under the same path deceive it.
 */
import { type CreatorRecord, describeExecutableKey, type ExecutableKey, NO_EXECUTABLE } from '../bpf/records.ts';
import type { Proc } from '../kernel/proc.ts';
import type { SharedSocketMarks } from '../kernel/socket-marks.ts';
import type { SingleOwner } from '../policy/identity.ts';
import { BoundedMap } from './bounded-map.ts';
import { NamedFiles } from './named-files.ts';
import type { PolicyNames } from './policy-names.ts';
import type { ProcessReader } from './process-reader.ts';
import { isBroker } from './socket-broker.ts';
import type { SocketOwner } from './socket-owner.ts';

/** Files of which it is remembered what they are called. */
export const MAX_KEYS_REMEMBERED = 8192;

export type CreatorMarks = Pick<SharedSocketMarks, 'creatorOf' | 'keyOfFile' | 'programOf'>;

export interface CreatorSources {
  readonly marks: CreatorMarks;
  readonly proc: Proc;
  readonly reader: ProcessReader;
  readonly monotonicMs?: () => number;
}

/** What policies call a file; no `path`: nothing. */
interface Naming {
  readonly path?: string;
}

const UNNAMED: Naming = {};

/** Remembers answers, so one for each thread that asks. */
export class CreatorOwners {
  readonly #sources: CreatorSources;
  readonly #named = new BoundedMap<ExecutableKey, Naming>(MAX_KEYS_REMEMBERED);
  /** What a process that ran it called it. */
  readonly #links = new BoundedMap<ExecutableKey, string>(MAX_KEYS_REMEMBERED);
  #names: PolicyNames | undefined;
  readonly #files: NamedFiles;

  constructor(sources: CreatorSources) {
    this.#sources = sources;
    this.#files = new NamedFiles(sources.monotonicMs);
  }

  /** `undefined`: nothing was noted, or its creator opens sockets for others, so that those who hold it have to be asked. */
  ownerOf(socket: SocketOwner, names: PolicyNames): SingleOwner | undefined {
    const creator = socket.cookie === undefined ? undefined : this.#sources.marks.creatorOf(socket.cookie);
    if (creator === undefined || creator.executable === NO_EXECUTABLE) return undefined;
    if (names !== this.#names) this.#forgetNames(names);
    return this.#describe(creator, socket, names);
  }

  /** Files may be named now that were not, and the other way round. */
  #forgetNames(names: PolicyNames): void {
    for (const [key] of this.#named.recent()) this.#named.delete(key);
    this.#names = names;
    this.#files.forget();
  }

  #describe(creator: CreatorRecord, socket: SocketOwner, names: PolicyNames): SingleOwner | undefined {
    const { proc, reader } = this.#sources;
    const { pid, executable: key } = creator;
    const process = { pid, startTimeTicks: creator.startTicks };
    const facts = pid > 0 ? reader.read(process) : undefined;
    // The same process may run another program by now: then its links tell nothing about this socket.
    const isSame = facts?.executable !== undefined && this.#runs(pid, facts.executable, key);
    const link = isSame ? facts.executable : this.#links.get(key);
    if (pid === 1 || (link !== undefined && isBroker(link, proc, pid))) return undefined;
    const cgroup = isSame ? reader.cgroup(pid, creator.cgroupId) : reader.cgroupOfSocket(creator.cgroupId);
    const known = { uid: socket.uid, gid: creator.gid, ...(cgroup !== undefined && { cgroup }) };
    const program = names.programOf(creator.number);
    const naming = program?.kind === 'exec' ? program : this.#naming(key, { link, isAlive: isSame }, names);
    if (naming === undefined && program === undefined) {
      const because = 'its process has ended, and its executable is not known';
      return { kind: 'unknown', because, ...known, command: creator.command };
    }
    const path = naming?.path;
    const executable = path ?? link;
    return {
      kind: 'process',
      pid,
      ...known,
      foundBy: facts === undefined ? 'ended creator' : 'creator',
      executableKey: key,
      ...(executable !== undefined && { executable }),
      // A file that policies call something else, or nothing: what its process calls it proves nothing.
      ...(executable !== undefined && executable !== path && { executableUnproven: true }),
      ...(program?.kind === 'script' && { script: program.path }),
      ...(program?.kind === 'children' && { childOf: program.app }),
      ...(isSame && facts.commandLine !== undefined && { commandLine: facts.commandLine }),
      ...(facts === undefined && { command: creator.command }),
      ...(socket.accepted && { accepted: true }),
    };
  }

  #runs(pid: number, link: string, key: ExecutableKey): boolean {
    if (this.#links.get(key) === link) return true;
    if (this.#sources.marks.keyOfFile(this.#sources.proc.executableLink(pid)) !== key) return false;
    this.#links.set(key, link);
    return true;
  }

  /** `undefined` where it cannot be told now. `link`: what a process that runs the file calls it. */
  #naming(
    key: ExecutableKey,
    { link, isAlive }: { readonly link: string | undefined; readonly isAlive: boolean },
    names: PolicyNames,
  ): Naming | undefined {
    const number = this.#sources.marks.programOf(key);
    const program = number === undefined ? undefined : names.programOf(number);
    if (program?.kind === 'exec') return program;
    const known = this.#named.get(key);
    if (known !== undefined) return known;
    const naming = this.#look(key, link, names);
    if (naming !== undefined) this.#named.set(key, naming);
    // A link to a named file that was made just now: as good as a copy of it.
    return naming ?? (isAlive ? UNNAMED : undefined);
  }

  #look(key: ExecutableKey, link: string | undefined, names: PolicyNames): Naming | undefined {
    const { marks } = this.#sources;
    if (link !== undefined && names.hasExecutable(link) && marks.keyOfFile(link) === key) return { path: link };
    const candidates = this.#files.withInode(describeExecutableKey(key).inode, names);
    const path = candidates?.find((candidate) => marks.keyOfFile(candidate) === key);
    return candidates === undefined ? undefined : path === undefined ? UNNAMED : { path };
  }
}
