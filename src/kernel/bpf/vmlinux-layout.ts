import { readFileSync } from 'node:fs';
import { parseBtf } from '../../bpf/btf.ts';
import { BtfError } from '../../bpf/errors.ts';
import { type KernelLayout, kernelLayout } from '../../bpf/kernel-layout.ts';
import { KernelError } from '../kernel-error.ts';

/** Types of the running kernel (Documentation/ABI/testing/sysfs-kernel-btf); about 6 MB, needed for a moment only. */
const VMLINUX_BTF = '/sys/kernel/btf/vmlinux';
const OPERATION = 'read kernel types';

/** Where the members of its structures lie in the running kernel. Throws KernelError. */
export function readVmlinuxLayout(path: string = VMLINUX_BTF): KernelLayout {
  const bytes = readTypes(path);
  try {
    return kernelLayout(parseBtf(bytes));
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    throw new KernelError(OPERATION, 0, '', path, error.message, { cause: error });
  }
}

function readTypes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code = '', errno = 0 } = error as NodeJS.ErrnoException;
    const detail = code === 'ENOENT' ? 'this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)' : 'cannot be read';
    throw new KernelError(OPERATION, -errno, code, path, `${detail} [${code}]`, { cause: error });
  }
}
