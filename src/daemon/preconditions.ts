/** What must be there before anything is changed: privilege, tools, parts of the kernel. */
import { readFileSync } from 'node:fs';
import { KernelError } from '../kernel/kernel-error.ts';
import { LinuxKernel } from '../kernel/linux-kernel.ts';
import { findTool } from '../kernel/run-tool.ts';
import type { SocketMarks } from '../kernel/socket-marks.ts';
import { StartError } from './start-error.ts';

/** linux/capability.h */
const CAP_NET_ADMIN = 12n;

const TOOLS = [{ name: 'nft', debianPackage: 'nftables' }];
/** Only where the kernel lacks nft's own queue statement. */
const XTABLES_TOOLS = [
  { name: 'iptables-nft', debianPackage: 'iptables' },
  { name: 'ip6tables-nft', debianPackage: 'iptables' },
];

export interface StartKernel extends Disposable {
  readonly kernel: LinuxKernel;
  readonly queue: 'nft' | 'xtables';
}

/** Throws StartError. */
export async function openKernel(marks: SocketMarks | undefined): Promise<StartKernel> {
  try {
    for (const tool of TOOLS) findTool(tool);
  } catch (error) {
    if (error instanceof KernelError) throw new StartError('missing', error.message, { cause: error });
    throw error;
  }
  const kernel = openOrRefuse(marks);
  try {
    const queue = (await kernel.nft.supports('queue')) ? 'nft' : 'xtables';
    if (queue === 'xtables') for (const tool of XTABLES_TOOLS) findTool(tool);
    return { kernel, queue, [Symbol.dispose]: () => kernel[Symbol.dispose]() };
  } catch (error) {
    kernel[Symbol.dispose]();
    throw startErrorOf(error, 'missing');
  }
}

/** Refusals of the kernel as reasons for not starting. */
export function startErrorOf(error: unknown, otherwise: 'failed' | 'missing'): StartError {
  if (error instanceof StartError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof KernelError))
    return new StartError(otherwise === 'missing' ? 'failed' : otherwise, message, { cause: error });
  if (error.isDenied)
    return new StartError('notPermitted', `the kernel does not permit it: ${message}`, { cause: error });
  if (error.code === 'ENOENT' && error.operation.startsWith('find '))
    return new StartError('missing', message, { cause: error });
  if (error.code === 'EPROTONOSUPPORT' || error.code === 'EOPNOTSUPP')
    return new StartError('missing', message, { cause: error });
  return new StartError(otherwise, message, { cause: error });
}

function openOrRefuse(marks: SocketMarks | undefined): LinuxKernel {
  try {
    return LinuxKernel.open(marks);
  } catch (error) {
    throw startErrorOf(error, 'missing');
  }
}

export function requirePrivilege(): void {
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  if (((effective >> CAP_NET_ADMIN) & 1n) === 1n) return;
  throw new StartError('notPermitted', 'the daemon needs root (CAP_NET_ADMIN): sudo pointsman up');
}
