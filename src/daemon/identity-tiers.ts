/**
 * The ways in which the kernel tells programs by itself. Each may be missing on a machine; then the slow path tells, and
 * `status` says why.
 */

import type { IdentityStatus, TierStatus } from '../api/status.ts';
import type { Background } from '../kernel/background.ts';
import { openSocketMarks, type PinsToUse } from '../kernel/bpf/linux-socket-marks.ts';
import { removePinsHere } from '../kernel/bpf/pin-directory.ts';
import type { CgroupTree } from '../kernel/cgroup.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { SocketMarks } from '../kernel/socket-marks.ts';
import { isLeftOut, WITHOUT } from './left-out.ts';
import { ScriptWatch } from './script-watch.ts';

export interface IdentityTiers extends Disposable {
  /** Or why sockets cannot be marked. */
  readonly marks: SocketMarks | string;
  /** Or why nobody can be asked before a script is opened. */
  readonly scripts: ScriptWatch | string;
  /** Why what the kernel knows does not outlive the daemon. */
  readonly notKept: string | undefined;
}

/** Never throws. */
export function openIdentityTiers(
  cgroups: CgroupTree | undefined,
  log: (line: string) => void,
  background: Background,
  pins: PinsToUse | string,
  environment: NodeJS.ProcessEnv = process.env,
): IdentityTiers {
  const marks = isLeftOut('bpf', environment) ? notWanted : openMarks(cgroups, pins);
  // What a daemon before this one has kept would go on marking sockets by what nobody keeps right.
  if (typeof marks === 'string' && typeof pins !== 'string') refusalOr(() => removePinsHere());
  const scripts = isLeftOut('fanotify', environment) ? notWanted : openScripts(marks, log, background);
  return {
    marks,
    scripts,
    notKept: typeof pins === 'string' ? pins : undefined,
    [Symbol.dispose]: () => {
      if (typeof scripts !== 'string') scripts[Symbol.dispose]();
      if (typeof marks !== 'string') marks[Symbol.dispose]();
    },
  };
}

const notWanted = `${WITHOUT} says so`;

function openMarks(cgroups: CgroupTree | undefined, pins: PinsToUse | string): SocketMarks | string {
  if (cgroups === undefined) return 'this machine has no cgroup2 hierarchy';
  return refusalOr(() =>
    openSocketMarks({ cgroupMountDir: cgroups.mountDir, pins: typeof pins === 'string' ? undefined : pins }),
  );
}

/** A process is bound to its script for as long as it runs it, which the kernel has to follow, and marks its sockets by it. */
function openScripts(
  marks: SocketMarks | string,
  log: (line: string) => void,
  background: Background,
): ScriptWatch | string {
  if (typeof marks === 'string') return `sockets are not marked: ${marks}`;
  if (marks.inheritanceRefusal !== undefined) return marks.inheritanceRefusal.message;
  const onError = ({ message }: KernelError): void => log(`pointsman: scripts are not watched for now: ${message}`);
  return refusalOr(() => ScriptWatch.open({ background, binder: marks, onError }));
}

function refusalOr<T>(open: () => T): T | string {
  try {
    return open();
  } catch (error) {
    if (error instanceof KernelError) return error.message;
    throw error;
  }
}

const tier = (because: string | undefined): TierStatus =>
  because === undefined ? { inKernel: true } : { inKernel: false, because };

/** `notKept`: why what the kernel knows ends with the daemon. */
export function identityStatus(
  { marks, scripts }: IdentityTiers,
  scriptsReleased: string | undefined,
  notKept: string | undefined,
): IdentityStatus {
  const isMarked = typeof marks !== 'string';
  return {
    executables: tier(isMarked ? undefined : marks),
    scripts: tier(typeof scripts === 'string' ? scripts : scriptsReleased),
    children: tier(isMarked ? marks.inheritanceRefusal?.message : marks),
    ...(isMarked && { kept: tier(notKept), sockets: marks.counts() }),
  };
}
