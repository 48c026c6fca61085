/** How things stand where no daemon answers: what the kernel and the name of the running one tell. */
import { readFileSync } from 'node:fs';
import { holderOfName } from '../kernel/instance-name.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { CHAIN_STATIC, PANIC_TABLE, QUEUE_NUMBER, TABLE } from '../plan/reserved.ts';
import type { Silence } from './daemon-pulse.ts';
import { formatDuration } from './duration.ts';

export type AbsentDaemon =
  /** A process holds the daemon's name and does not listen yet. */
  | { readonly kind: 'starting'; readonly pid: number }
  /** It listens, and somebody has removed the file of its socket. */
  | { readonly kind: 'socket gone'; readonly pid: number }
  | SilentDaemon
  /** No daemon, and the rules of one: it was killed, or has left them in force. */
  | { readonly kind: 'rules left'; readonly panic: boolean }
  /** None has run since `plan --static` was loaded. */
  | { readonly kind: 'before first start'; readonly panic: boolean }
  | { readonly kind: 'panic' }
  | { readonly kind: 'none' }
  /** No daemon, and the kernel tells only root what is there. */
  | { readonly kind: 'none seen' };

/** Its socket took a question, and no answer came. */
export interface SilentDaemon {
  readonly kind: 'not answering';
  /** Absent where the kernel does not say. */
  readonly pid?: number;
  readonly stopped: boolean;
  /** Nothing was heard of it for so long. */
  readonly forMs?: number;
  /** Packets that are held for its verdict. */
  readonly waiting: number;
  /** `panic closed` is in force, as far as the caller may see. */
  readonly panic: boolean;
}

export async function observeSilentDaemon({ pid, stopped, forMs }: Silence): Promise<SilentDaemon> {
  const { panic } = process.geteuid?.() === 0 ? await leftInKernel() : { panic: false };
  const about = { ...(pid !== undefined && { pid }), ...(forMs !== undefined && { forMs }) };
  return { kind: 'not answering', ...about, stopped, waiting: waitingPackets(), panic };
}

/** Of a daemon whose socket nobody listens on. */
export async function observeAbsentDaemon(socketPath: string): Promise<AbsentDaemon> {
  const holder = await holderOfName();
  if (holder !== undefined && holder.uid === 0) {
    const { pid } = holder;
    return { kind: isListening(socketPath) ? 'socket gone' : 'starting', pid };
  }
  if (process.geteuid?.() !== 0) return { kind: 'none seen' };
  const { rules, panic, isStatic } = await leftInKernel();
  if (isStatic) return { kind: 'before first start', panic };
  if (rules) return { kind: 'rules left', panic };
  return { kind: panic ? 'panic' : 'none' };
}

/** One line that says the state, and what to type. */
export function describeAbsentDaemon(absent: AbsentDaemon): { readonly message: string; readonly hint: string } {
  switch (absent.kind) {
    case 'starting':
      return {
        message: `the daemon is starting (process ${absent.pid})`,
        hint: 'ask again in a moment: sudo pointsman status',
      };
    case 'socket gone':
      return {
        message: `the daemon runs (process ${absent.pid}), and the file of its control socket is gone`,
        hint: `its rules hold; start it again to talk to it: sudo kill ${absent.pid}, then sudo pointsman up`,
      };
    case 'not answering':
      return describeSilent(absent);
    case 'rules left':
      return {
        message: `no daemon is running, and the rules of one are in force: it was killed, or has left them${panicToo(absent.panic)}`,
        hint: 'take over: sudo pointsman up; or remove them: sudo pointsman down',
      };
    case 'before first start':
      return {
        message: `the daemon has not started yet, and the rules of "plan --static" are in force: what only the daemon tells is as whenAway says${panicToo(absent.panic)}`,
        hint: 'sudo pointsman up; or remove them: sudo pointsman down',
      };
    case 'panic':
      return {
        message: 'the daemon is not running, and "panic closed" is in force: nothing gets in, out or through',
        hint: 'sudo pointsman panic off',
      };
    case 'none':
      return { message: 'the daemon is not running', hint: 'sudo pointsman up' };
    case 'none seen':
      return {
        message: 'the daemon is not running; whether rules of one are left, only root may see',
        hint: 'sudo pointsman status',
      };
  }
}

/** What the kernel decides alone is the same as before. */
function describeSilent({ pid, stopped, forMs, waiting, panic }: SilentDaemon): {
  readonly message: string;
  readonly hint: string;
} {
  const who = pid === undefined ? '' : ` (process ${pid})`;
  const held = `its last policies are in force, and what it has to decide waits until it goes on or ends${heldNow(waiting)}${panicToo(panic)}`;
  const end = `sudo kill -KILL ${pid ?? 'PID'}, then sudo pointsman up; or sudo pointsman down`;
  if (stopped)
    return {
      message: `the daemon is stopped${who}: ${held}`,
      hint: `let it go on: sudo kill -CONT ${pid ?? 'PID'}; or end it: ${end}`,
    };
  const silent = forMs === undefined ? 'does not answer' : `has not answered for ${formatDuration(forMs)}`;
  return { message: `the daemon ${silent}${who}: ${held}`, hint: `ask again; if it stays so: ${end}` };
}

const heldNow = (waiting: number): string =>
  waiting === 0 ? '' : `; ${waiting} ${waiting === 1 ? 'packet waits' : 'packets wait'} for it now`;

const panicToo = (panic: boolean): string =>
  panic ? '; "panic closed" is in force, too (sudo pointsman panic off)' : '';

async function leftInKernel(): Promise<{
  readonly rules: boolean;
  readonly panic: boolean;
  readonly isStatic: boolean;
}> {
  // What it stands on costs every other command a tenth of a second.
  const { LinuxKernel } = await import('../kernel/linux-kernel.ts');
  try {
    using kernel = LinuxKernel.open();
    const [own, panic] = [await kernel.nft.observe(TABLE), await kernel.nft.observe(PANIC_TABLE)];
    const isLeft = own !== undefined || kernel.routing.ownRules().length > 0 || kernel.keptPrograms.areHere();
    return { rules: isLeft, panic: panic !== undefined, isStatic: own?.chains.has(CHAIN_STATIC) === true };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    // Where the kernel has no nftables at all there is nothing of ours.
    return { rules: false, panic: false, isStatic: false };
  }
}

/** /proc/net/unix (unix(7)) has the path that a socket was bound to, whatever became of the file. */
function isListening(socketPath: string): boolean {
  return textOf('/proc/net/unix')
    .split('\n')
    .some((line) => line.endsWith(` ${socketPath}`));
}

/** Of our queue: the third column of net/netfilter/nfnetlink_queue.c's `seq_show`. */
function waitingPackets(): number {
  const queues = textOf('/proc/net/netfilter/nfnetlink_queue').split('\n');
  const own = queues.map((line) => line.trim().split(/\s+/)).find(([number]) => number === String(QUEUE_NUMBER));
  return Number(own?.[2] ?? 0);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
