/** `GET /v1/apps`: what runs here, and by what policies tell it. All fields are plain JSON. */
import type { MatchKind } from '../policy/model.ts';

/** A kind of `match` entry; `children`: started by an application with `children: same`. */
export type ToldBy = MatchKind | 'children';

/** Processes that policy cannot tell apart: those of one application, or without a policy those of one executable. */
export interface RunningProgram {
  /** Absent: no policy is about it. */
  readonly app?: string;
  /** What its processes run, sorted; empty where that cannot be read. */
  readonly executables: readonly string[];
  /** How its processes were told, each once. */
  readonly toldBy: readonly ToldBy[];
  readonly processes: number;
  /** The first ones, lowest first. */
  readonly pids: readonly number[];
  /** Open internet sockets, each once however many processes hold it. */
  readonly sockets: number;
  /** Of the policy, strongest layer first. */
  readonly files: readonly string[];
  /** Why it is not what it seems to be. */
  readonly note?: string;
}

export interface AppsReport {
  /** Applications by name, then the others by executable. */
  readonly programs: readonly RunningProgram[];
  /** Processes in other network namespaces, which this daemon does not govern: they are not listed. */
  readonly elsewhere: number;
  /** What was left out, where there was too much to look at. */
  readonly incomplete?: string;
}
