/** `pointsman lab up`: the whole small world, with its servers and the daemon in the device. */
import { mkdir } from 'node:fs/promises';
import { ensureBpfFileSystem } from '../kernel/bpf/bpf-file-system.ts';
import { buildWorld, type WorldNote } from './build-world.ts';
import { labDown } from './lab-down.ts';
import { LabError } from './lab-error.ts';
import { requireLabId, requireRoot } from './lab-preconditions.ts';
import { type LabMarker, readMarker, writeMarker } from './lab-state.ts';
import { type LabStatus, labStatus } from './lab-status.ts';
import { labWords } from './lab-words.ts';
import { isAlive, recordProcess } from './process-record.ts';
import { type RootTreeSources, writeResolverFiles, writeRootTree } from './root-tree.ts';
import { requireTools } from './run-tool.ts';
import { startDaemon, startServers, startTunnel } from './start-process.ts';

export type LabUpOptions = RootTreeSources & {
  readonly id: string;
  readonly stateDir: string;
  /** One line for each step that takes a while; the caller decides where it goes. */
  readonly onProgress?: (line: string) => void;
} & (
    | {
        readonly withDaemon?: true /** Program and arguments, the program as an absolute path. */;
        readonly pointsmanCommand: readonly string[];
      }
    | { readonly withDaemon: false }
  );

export interface LabUpReport {
  readonly notes: readonly WorldNote[];
  /** The lab stood, without its daemon: that alone was started. */
  readonly isDaemonAlone: boolean;
}

/**
 * Builds the lab; a half-built or dead leftover of the same id is removed first. Whatever fails, nothing is left. In a lab that stands and whose
 * daemon has ended, that is started again, with the files that are there; the lab stays, also where that fails.
 * Throws LabError, with the end of the log where a process is to blame.
 */
export async function labUp(options: LabUpOptions): Promise<LabUpReport> {
  requireRoot();
  requireLabId(options.id);
  requireTools();
  const { id, stateDir } = options;
  const status = await labStatus({ id, stateDir });
  await refuseIfInUse(options, status);
  if (options.withDaemon !== false && status.state === 'up') {
    options.onProgress?.('starting the daemon in the device again');
    await startDaemon(id, stateDir, options.pointsmanCommand);
    return { notes: status.notes, isDaemonAlone: true };
  }
  await labDown(options);
  try {
    return await build(options);
  } catch (error) {
    await labDown(options).catch((second: unknown) => {
      throw new AggregateError([error, second], `${messageOf(error)}\nand cleaning up failed: ${messageOf(second)}`);
    });
    throw error;
  }
}

async function refuseIfInUse(options: LabUpOptions, { state, daemon, daemonPid }: LabStatus): Promise<void> {
  const { id, stateDir } = options;
  const marker = await readMarker(stateDir);
  if (marker !== undefined && marker.id !== id) {
    throw new LabError('bad-state-dir', `${stateDir} belongs to the lab "${marker.id}"`);
  }
  // A marker alone proves nothing: it survives a reboot, the namespaces do not.
  if (state === 'up' && !(daemon === 'ended' && keepsItsFiles(options))) {
    const stopped = daemon === 'stopped' ? `; its daemon is stopped, let it go on: sudo kill -CONT ${daemonPid}` : '';
    const ended = daemon === 'ended' ? `, without its daemon, and has files of its own` : '';
    throw new LabError(
      'already-up',
      `the lab "${id}" is up already${ended}${stopped}; ${stopped === '' ? '' : 'or '}take it down first: sudo pointsman ${labWords(id, 'down')}`,
    );
  }
  if (marker?.builder !== undefined && marker.builder.pid !== process.pid && isAlive(marker.builder)) {
    throw new LabError('busy', `the lab "${id}" is being built by process ${marker.builder.pid}`);
  }
}

/** Others would not count. */
const keepsItsFiles = ({ withDaemon, policiesDir, uplinksDir }: LabUpOptions): boolean =>
  withDaemon !== false && policiesDir === undefined && uplinksDir === undefined;

async function build(options: LabUpOptions): Promise<LabUpReport> {
  const { id, stateDir } = options;
  const progress = options.onProgress ?? (() => undefined);
  const builder = recordProcess(process.pid);
  const building: LabMarker = { id, stage: 'building', notes: [], ...(builder === undefined ? {} : { builder }) };
  await mkdir(stateDir, { recursive: true });
  await writeMarker(stateDir, building);
  await writeRootTree(stateDir, options);
  await writeResolverFiles(stateDir);
  progress('building the network: device, wifi, cellular, vpn, LAN, internet');
  // Programs of the lab have mount namespaces of their own, which see what is mounted before. Without it, the daemon says so.
  await ensureBpfFileSystem();
  const notes = await buildWorld(id);
  progress('starting the servers: HTTP, DNS, echo, VPN');
  await Promise.all([startServers(id, stateDir, 'net'), startServers(id, stateDir, 'lan'), startTunnel(id, stateDir)]);
  if (options.withDaemon !== false) {
    progress('starting the daemon in the device');
    await startDaemon(id, stateDir, options.pointsmanCommand);
  }
  await writeMarker(stateDir, { id, stage: 'up', notes });
  return { notes, isDaemonAlone: false };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
