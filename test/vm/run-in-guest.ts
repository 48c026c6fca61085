/**
 * Boots Debian's stock kernel in qemu, emulated, so that it runs wherever the tests do, and runs one command there as
 * root. The guest's root is this machine's own, read-only under a tmpfs overlay: everything installed here is there,
 * and nothing that it does stays. It has no network but the one it makes. All of it ends with the thread that called.
 */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type DebianKernel, obtainKernel } from './debian-kernel.ts';
import { requireHostTools } from './host-tool.ts';
import { buildInitramfs } from './initramfs.ts';
import { cleanUpOnExit } from './on-exit.ts';
import { type QemuEnding, qemuArguments, runQemu } from './qemu.ts';
import { VmError } from './vm-error.ts';

const MAIN = fileURLToPath(new URL('guest/main.sh', import.meta.url));
/** A panic begins some 50 lines above the end of what it prints. */
const TAIL_LINES = 80;

export interface GuestCommand {
  /** Program and arguments, looked up in a plain PATH that begins with the directory of this process's node. */
  readonly command: readonly string[];
  readonly cwd: string;
  /** From the start of qemu to the end of the command. */
  readonly timeoutMs: number;
  readonly memoryMiB?: number;
}

export interface GuestOutcome {
  readonly exitStatus: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The last part of what the kernel printed. */
  readonly console: string;
}

/** Throws VmError with the ends of the console and of the command's output where the command did not come to its end. */
export async function runInGuest(guest: GuestCommand): Promise<GuestOutcome> {
  if (process.arch !== 'x64')
    throw new VmError('unsupported-machine', `the virtual machine is x64, not ${process.arch}`);
  requireHostTools();
  const kernel = await obtainKernel();
  const runDir = await mkdtemp(join(tmpdir(), 'pointsman-vm-'));
  const stopWatching = cleanUpOnExit(runDir);
  try {
    return await runIn(runDir, kernel, guest);
  } finally {
    stopWatching();
    await rm(runDir, { recursive: true, force: true });
  }
}

async function runIn(runDir: string, kernel: DebianKernel, guest: GuestCommand): Promise<GuestOutcome> {
  const sharedDir = join(runDir, 'shared');
  await mkdir(sharedDir);
  await copyFile(MAIN, join(sharedDir, 'main.sh'));
  await writeFile(join(sharedDir, 'command.sh'), renderCommand(guest));
  const initramfsPath = await buildInitramfs(kernel, runDir);
  const args = qemuArguments({ kernel, initramfsPath, sharedDir, ...guest });
  const ending = await runQemu(args, guest.timeoutMs);
  const [status, stdout, stderr] = await Promise.all(
    ['status', 'stdout', 'stderr'].map((name) => read(sharedDir, name)),
  );
  const said = { stdout: stdout ?? '', stderr: stderr ?? '', console: ending.console };
  if (status === undefined) throw whatWentWrong(ending, guest.timeoutMs, said);
  return { exitStatus: Number(status), ...said };
}

/** A script, because a kernel command line holds neither long nor odd arguments. */
export function renderCommand({ command, cwd }: Pick<GuestCommand, 'command' | 'cwd'>): string {
  const path = `${dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  const words = ['env', '-i', `PATH=${path}`, 'HOME=/root', 'LC_ALL=C', ...command];
  return `cd ${quote(cwd)} || exit 125\nexec ${words.map(quote).join(' ')}\n`;
}

/** For sh: nothing is special between single quotes but the quote itself. */
const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

async function read(dir: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(join(dir, name), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function whatWentWrong(ending: QemuEnding, timeoutMs: number, said: Omit<GuestOutcome, 'exitStatus'>): VmError {
  const details = [
    tail("end of the guest's console", said.console),
    tail("end of the command's stdout", said.stdout),
    tail("end of the command's stderr", said.stderr),
    tail('qemu says', ending.stderr),
  ].join('\n');
  if (ending.timedOut)
    return new VmError('timed-out', `the guest's command did not end within ${timeoutMs} ms\n${details}`);
  if (said.console.includes('Kernel panic'))
    return new VmError('guest-panic', `the guest's kernel panicked\n${details}`);
  return new VmError('boot-failed', `qemu ended (${ending.reason}) before the guest's command did\n${details}`);
}

function tail(title: string, text: string): string {
  const lines = text.trimEnd().split(/\r*\n/).slice(-TAIL_LINES);
  return lines.join('') === ''
    ? `  ${title}: nothing`
    : [`  ${title}:`, ...lines.map((line) => `  | ${line}`)].join('\n');
}
