import { spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';
import type { DebianKernel } from './debian-kernel.ts';
import { findHostTool } from './host-tool.ts';
import { VmError } from './vm-error.ts';

const CPUS = 2;
const DEFAULT_MEMORY_MIB = 2048;
const MAX_TEXT_CHARS = 64 * 1024;
/**
 * A guest that hangs in its kernel is to say so, and an oops is the end of a test. On a machine with much else to do the emulated timer ticks too
 * seldom for the kernel's check of it, which ends in a panic.
 */
const KERNEL_COMMAND_LINE = 'console=ttyS0 quiet oops=panic panic=-1 no_timer_check';

export interface QemuMachine {
  readonly kernel: DebianKernel;
  readonly initramfsPath: string;
  /** The only directory of this machine that the guest can write to. */
  readonly sharedDir: string;
  readonly memoryMiB?: number;
}

export interface QemuEnding {
  readonly timedOut: boolean;
  /** In words: an exit status or a signal. */
  readonly reason: string;
  /** The last MAX_TEXT_CHARS of the serial line. */
  readonly console: string;
  readonly stderr: string;
}

export function qemuArguments({ kernel, initramfsPath, sharedDir, memoryMiB }: QemuMachine): readonly string[] {
  // KVM is not for certain where tests run, and a guest under it would not be the same machine.
  const machine = ['-accel', 'tcg,thread=multi', '-smp', `${CPUS}`, '-m', `${memoryMiB ?? DEFAULT_MEMORY_MIB}`];
  const devices = [
    '-nodefaults',
    '-no-user-config',
    '-display',
    'none',
    '-serial',
    'stdio',
    '-net',
    'none',
    '-no-reboot',
  ];
  const boot = ['-kernel', kernel.imagePath, '-initrd', initramfsPath, '-append', KERNEL_COMMAND_LINE];
  const shares = [
    share('root', '/', 'readonly=on,multidevs=remap'),
    share('modules', kernel.modulesDir, 'readonly=on'),
    share('run', sharedDir, 'readonly=off'),
  ];
  return [...machine, ...devices, ...boot, ...shares.flat()];
}

function share(tag: string, path: string, options: string): readonly string[] {
  // A comma is doubled in qemu's option lists.
  return ['-virtfs', `local,mount_tag=${tag},security_model=none,${options},path=${path.replaceAll(',', ',,')}`];
}

/** Runs it to its end, or kills it after `timeoutMs`. Throws VmError where it cannot be started. */
export function runQemu(args: readonly string[], timeoutMs: number): Promise<QemuEnding> {
  // The signal comes when the thread that started it ends, however that ends: no guest outlives its test.
  const command = ['--pdeathsig', 'KILL', '--', findHostTool('qemu-system-x86_64'), ...args];
  const child = spawn(findHostTool('setpriv'), command, { stdio: ['ignore', 'pipe', 'pipe'] });
  const console = keepTail(child.stdout);
  const stderr = keepTail(child.stderr);
  return new Promise((resolve, reject) => {
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(new VmError('boot-failed', `cannot start qemu: ${error.message}`, { cause: error }));
    });
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      const reason = signal === null ? `exit status ${status}` : `signal ${signal}`;
      resolve({ timedOut, reason, console: console(), stderr: stderr() });
    });
  });
}

function keepTail(stream: NodeJS.ReadableStream): () => string {
  const decoder = new StringDecoder('utf8');
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text = (text + decoder.write(chunk)).slice(-MAX_TEXT_CHARS);
  });
  return () => text;
}
