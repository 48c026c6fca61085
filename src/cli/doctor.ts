/** `doctor`: everything that is looked at, whether a daemon runs or not. Without effect. */
import { release } from 'node:os';
import type { DoctorReport, Finding } from '../api/doctor.ts';
import type { CheckOutcome, SelfCheckReport } from '../api/self-check.ts';
import type { Status } from '../api/status.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { LinuxKernel } from '../kernel/linux-kernel.ts';
import { networkNamespaceName } from '../kernel/network-namespace-name.ts';
import { pathsFor } from '../store/paths.ts';
import { describeAbsentDaemon, observeAbsentDaemon } from './absent-daemon.ts';
import { CliError } from './cli-error.ts';
import { type DaemonClient, NoAnswer } from './client.ts';
import { examineKernel } from './examine-kernel.ts';
import { examineFiles, examineNetwork } from './examine-network.ts';
import { EXIT } from './exit-code.ts';
import { uplinksOffline } from './offline.ts';

export interface DoctorOptions {
  readonly root: string | undefined;
  readonly client: Pick<DaemonClient, 'get' | 'post'>;
  /** The daemon is to check itself, too. */
  readonly probe: boolean;
}

const NODE_AT_LEAST: readonly [major: number, minor: number] = [20, 19];

export async function examine({ root, client, probe }: DoctorOptions): Promise<DoctorReport> {
  const paths = pathsFor(root);
  const kernel = openKernel();
  try {
    const isRoot = process.geteuid?.() === 0;
    const findings = [
      ...(await daemonFindings(client, paths.socketPath)),
      ...(probe ? await probeFindings(client) : []),
      examineFiles(paths),
      node(),
      ...(await examineKernel({ isRoot, kernel })),
      ...examineNetwork(await uplinksOffline({ root, onNote: () => undefined })),
    ];
    return { network: networkNamespaceName(), kernel: `Linux ${release()}`, findings };
  } finally {
    kernel?.[Symbol.dispose]();
  }
}

function openKernel(): LinuxKernel | undefined {
  try {
    return LinuxKernel.open();
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [atLeast, andMinor] = NODE_AT_LEAST;
  const isEnough = major > atLeast || (major === atLeast && minor >= andMinor);
  const message = `Node.js ${process.versions.node}`;
  if (isEnough) return { part: 'runtime', state: 'ok', message };
  return { part: 'runtime', state: 'broken', message, mend: `Node.js ${atLeast}.${andMinor} or newer` };
}

async function daemonFindings(client: Pick<DaemonClient, 'get'>, socketPath: string): Promise<readonly Finding[]> {
  const part = 'daemon';
  try {
    return statusFindings(await client.get<Status>('/v1/status'));
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    if (error.exitCode === EXIT.notPermitted)
      return [{ part, state: 'not seen', message: 'it runs, and you may not ask it', mend: 'sudo pointsman doctor' }];
    const absent = error instanceof NoAnswer ? error.daemon : await observeAbsentDaemon(socketPath);
    const { message, hint } = describeAbsentDaemon(absent);
    switch (absent.kind) {
      case 'none':
      case 'starting':
      case 'before first start':
        return [{ part, state: 'ok', message, mend: hint }];
      case 'none seen':
        return [{ part, state: 'not seen', message, mend: 'sudo pointsman doctor' }];
      case 'socket gone':
      case 'not answering':
      case 'rules left':
      case 'panic':
        return [{ part, state: 'broken', message, mend: hint }];
    }
  }
}

/** How programs are really told is known to who does it. */
function statusFindings({ state, pid, identity, warnings }: Status): readonly Finding[] {
  const isWhole = state === 'enforcing' || state === 'starting';
  const { executables, scripts, children, kept } = identity;
  const tiers = { executables, scripts, children, ...(kept !== undefined && { kept }) };
  return [
    {
      part: 'daemon',
      state: isWhole ? 'ok' : 'broken',
      message: `${state} (process ${pid})`,
      ...(!isWhole && { mend: 'pointsman status' }),
    },
    ...Object.entries(tiers).map(([name, { inKernel, because = '' }]): Finding => {
      const part = `daemon: ${name}`;
      if (inKernel)
        return {
          part,
          state: 'ok',
          message: name === 'kept' ? 'what the kernel knows outlives it' : 'told by the kernel',
        };
      return { part, state: 'limited', message: because };
    }),
    ...warnings.map(
      ({ code, message, hint }): Finding => ({
        part: code,
        // Nothing connects then.
        state: code === 'panic-closed' ? 'broken' : 'limited',
        message,
        ...(hint !== undefined && { mend: hint }),
      }),
    ),
  ];
}

/** One for each program that was sent as, by what the policy says of it. */
async function probeFindings(client: Pick<DaemonClient, 'post'>): Promise<readonly Finding[]> {
  const part = 'probe';
  try {
    const { tiers, notDone } = await client.post<SelfCheckReport>('/v1/self-check');
    if (notDone !== undefined)
      return [{ part, state: 'not seen', message: notDone, mend: 'sudo pointsman doctor --probe' }];
    return tiers.map(
      ({ as, destination, outcome, found }): Finding => ({
        part: `${part}: ${as}`,
        state: PROBED[outcome],
        message: `to ${destination}: ${found}`,
      }),
    );
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return [{ part, state: 'not seen', message: error.message, mend: 'sudo pointsman up' }];
  }
}

const PROBED: Readonly<Record<CheckOutcome, Finding['state']>> = {
  'as the policy says': 'ok',
  difference: 'broken',
  'not tried': 'not seen',
};
