/** What is there of a lab, for `pointsman lab status` and for messages. */
import type { WorldNote } from './build-world.ts';
import { type LabDaemon, labDaemon } from './lab-daemon.ts';
import { existingNamespaces } from './lab-down.ts';
import { type LinkState, linkStates } from './lab-link.ts';
import { isRoot, requireLabId } from './lab-preconditions.ts';
import { labFiles, readMarker } from './lab-state.ts';
import { readConditions } from './link-condition.ts';
import { isAlive, readRecord } from './process-record.ts';
import { NAMESPACE_PARTS } from './world.ts';

export interface LabStatus {
  readonly id: string;
  /** `broken`: parts of it are there, which `lab up` or `lab down` remove. */
  readonly state: 'down' | 'up' | 'broken';
  readonly namespaces: readonly string[];
  readonly servers: boolean;
  /** Both ends of the vpn's tunnel. */
  readonly tunnel: boolean;
  /** Uplinks as they are and what `lab link` made of them; without root, or where the lab is not up, none. */
  readonly links: readonly LinkState[];
  readonly daemon: LabDaemon;
  /** Where one is there, and the kernel says which. */
  readonly daemonPid?: number;
  readonly rootDir: string;
  readonly socket: string;
  readonly notes: readonly WorldNote[];
}

/** Reads only; needs no privileges beyond reading the state directory. */
export async function labStatus({
  id,
  stateDir,
}: {
  readonly id: string;
  readonly stateDir: string;
}): Promise<LabStatus> {
  requireLabId(id);
  const { rootDir, socket, serverPids, tunnelPids } = labFiles(stateDir);
  const marker = await readMarker(stateDir);
  const namespaces = existingNamespaces(id);
  const servers = (await alive(serverPids.net)) === true && (await alive(serverPids.lan)) === true;
  const tunnel = (await alive(tunnelPids.near)) === true && (await alive(tunnelPids.far)) === true;
  const { state: daemon, pid } = await labDaemon(stateDir);
  const whole = marker?.stage === 'up' && namespaces.length === NAMESPACE_PARTS.length && servers && tunnel;
  const state = whole ? 'up' : marker === undefined && namespaces.length === 0 ? 'down' : 'broken';
  const links = state === 'up' && isRoot() ? await linkStates(id, await readConditions(stateDir)) : [];
  const seen = { servers, tunnel, links, daemon, ...(pid > 0 && { daemonPid: pid }) };
  return { id, state, namespaces, ...seen, rootDir, socket, notes: marker?.notes ?? [] };
}

/** Undefined where no process was ever recorded. */
async function alive(path: string): Promise<boolean | undefined> {
  const record = await readRecord(path);
  return record === undefined ? undefined : isAlive(record);
}
