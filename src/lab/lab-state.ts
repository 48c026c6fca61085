/** Where a lab keeps its files, and the one file that says whose the directory is. */
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { WorldNote } from './build-world.ts';
import { LabError } from './lab-error.ts';
import { isRecord, type ProcessRecord } from './process-record.ts';

export interface LabFiles {
  readonly marker: string;
  /** What `--root` of the daemon is. */
  readonly rootDir: string;
  readonly socket: string;
  readonly resolvConf: string;
  readonly nsswitchConf: string;
  readonly daemonLog: string;
  readonly daemonPid: string;
  readonly serversLog: string;
  /** One JSON line for each connection or datagram a server got; see `server-log.ts`. */
  readonly seenLog: string;
  readonly serverPids: Readonly<Record<'net' | 'lan', string>>;
  readonly tunnelKey: string;
  readonly tunnelLog: string;
  readonly tunnelPids: Readonly<Record<'near' | 'far', string>>;
  /** What `lab link` made of the uplinks; see `link-condition.ts`. */
  readonly links: string;
}

export function labFiles(dir: string): LabFiles {
  // Programs in the lab run with other working directories.
  const stateDir = resolve(dir);
  const rootDir = join(stateDir, 'root');
  return {
    marker: join(stateDir, 'lab.json'),
    rootDir,
    socket: join(rootDir, 'run/pointsman/pointsman.sock'),
    resolvConf: join(stateDir, 'resolv.conf'),
    nsswitchConf: join(stateDir, 'nsswitch.conf'),
    daemonLog: join(stateDir, 'daemon.log'),
    daemonPid: join(stateDir, 'daemon.pid'),
    serversLog: join(stateDir, 'servers.log'),
    seenLog: join(stateDir, 'servers.jsonl'),
    serverPids: { net: join(stateDir, 'servers-net.pid'), lan: join(stateDir, 'servers-lan.pid') },
    tunnelKey: join(stateDir, 'tunnel.key'),
    tunnelLog: join(stateDir, 'tunnel.log'),
    tunnelPids: { near: join(stateDir, 'tunnel-near.pid'), far: join(stateDir, 'tunnel-far.pid') },
    links: join(stateDir, 'links.json'),
  };
}

/** `builder` is set while the lab is being built. */
export interface LabMarker {
  readonly id: string;
  readonly stage: 'building' | 'up';
  readonly builder?: ProcessRecord;
  readonly notes: readonly WorldNote[];
}

/** Undefined where there is none. Throws LabError `bad-state-dir` for a directory that holds other things. */
export async function readMarker(stateDir: string): Promise<LabMarker | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(labFiles(stateDir).marker, 'utf8'));
    if (isMarker(value)) return value;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return whenNoMarker(stateDir);
  }
  throw new LabError(
    'bad-state-dir',
    `${labFiles(stateDir).marker} is not a lab's; remove it or choose another directory`,
  );
}

async function whenNoMarker(stateDir: string): Promise<undefined> {
  const entries = await readdir(stateDir).catch((): string[] => []);
  if (entries.every((entry) => entry === 'lab.json.new')) return undefined;
  throw new LabError('bad-state-dir', `${stateDir} is not empty and not a lab's; choose another directory`);
}

/** Written aside and renamed: a crash leaves the old marker or the new one. */
export async function writeMarker(stateDir: string, marker: LabMarker): Promise<void> {
  const { marker: path } = labFiles(stateDir);
  await writeFile(`${path}.new`, `${JSON.stringify(marker)}\n`);
  await rename(`${path}.new`, path);
}

function isMarker(value: unknown): value is LabMarker {
  if (typeof value !== 'object' || value === null) return false;
  const { id, stage, builder, notes } = value as Partial<Record<keyof LabMarker, unknown>>;
  if (typeof id !== 'string' || !Array.isArray(notes)) return false;
  return (stage === 'building' || stage === 'up') && (builder === undefined || isRecord(builder));
}
