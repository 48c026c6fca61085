/** `pointsman lab down`: ends and removes all that belongs to one lab, whatever state it is in. */
import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { removePinsOfGoneNamespaces } from '../kernel/bpf/pin-directory.ts';
import { labCgroupPids, removeLabCgroups } from './cgroup.ts';
import { LabError } from './lab-error.ts';
import { requireLabId, requireRoot } from './lab-preconditions.ts';
import { labFiles, readMarker } from './lab-state.ts';
import { endProcess, type ProcessRecord, readRecord, recordProcess } from './process-record.ts';
import { runTool } from './run-tool.ts';
import { NAMESPACE_PARTS, namespaceName } from './world.ts';

/**
 * Idempotent. Ends the processes the lab started and every other one that runs in its namespaces or cgroups, removes
 * those, then the state directory. Goes on after a failure. Whether there was anything of it. Throws LabError, or AggregateError of several.
 */
export async function labDown({ id, stateDir }: { readonly id: string; readonly stateDir: string }): Promise<boolean> {
  requireRoot();
  requireLabId(id);
  const marker = await readMarker(stateDir);
  if (marker !== undefined && marker.id !== id) {
    throw new LabError('bad-state-dir', `${stateDir} belongs to the lab "${marker.id}"`);
  }
  const guests = await guestPids(id);
  if (guests.includes(process.pid)) {
    throw new LabError('inside-the-lab', 'this command runs inside the lab; take the lab down from outside');
  }
  const wasThere = marker !== undefined || guests.length > 0 || existingNamespaces(id).length > 0;
  const failures: unknown[] = [];
  // The daemon first, while the servers still answer: it undoes by itself what it did outside the namespaces.
  const { daemonPid, serverPids, tunnelPids } = labFiles(stateDir);
  await attempt(failures, () => endAll([daemonPid].map(readRecord)));
  const others = [...Object.values(serverPids), ...Object.values(tunnelPids)];
  await attempt(failures, () => endAll(others.map(readRecord)));
  await attempt(failures, async () => endAll((await guestPids(id)).map((pid) => Promise.resolve(recordProcess(pid)))));
  for (const namespace of existingNamespaces(id)) {
    await attempt(failures, () => runTool('ip', ['netns', 'del', namespace]));
  }
  await attempt(failures, () => {
    if (!removeLabCgroups(id))
      throw new LabError('cannot-remove', `the cgroup /pointsman-lab-${id} still holds processes`);
  });
  // Of a daemon that was killed.
  await attempt(failures, removePinsOfGoneNamespaces);
  if (marker !== undefined) await attempt(failures, () => rm(stateDir, { recursive: true, force: true }));
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, `the lab "${id}" could not be removed completely`);
  return wasThere;
}

async function attempt(failures: unknown[], action: () => unknown): Promise<void> {
  try {
    await action();
  } catch (error) {
    failures.push(error);
  }
}

async function endAll(records: readonly Promise<ProcessRecord | undefined>[]): Promise<void> {
  const found = (await Promise.all(records)).filter((record) => record !== undefined);
  const ended = await Promise.all(found.map(endProcess));
  const left = found.filter((_, index) => ended[index] === false).map((record) => record.pid);
  if (left.length > 0) throw new LabError('cannot-remove', `these processes do not end: ${left.join(', ')}`);
}

/** Namespaces of this lab that exist now, by the names `ip netns` gives them. */
export function existingNamespaces(id: string): readonly string[] {
  try {
    const present = new Set(readdirSync('/run/netns'));
    return NAMESPACE_PARTS.map((part) => namespaceName(id, part)).filter((name) => present.has(name));
  } catch {
    return [];
  }
}

async function guestPids(id: string): Promise<readonly number[]> {
  const pids = new Set(labCgroupPids(id));
  for (const namespace of existingNamespaces(id)) {
    // A name left behind by a crash between its two steps is a plain file, which holds nobody.
    const listed = await runTool('ip', ['netns', 'pids', namespace]).catch(() => '');
    for (const pid of listed.split('\n').filter(Boolean)) pids.add(Number(pid));
  }
  return [...pids];
}
