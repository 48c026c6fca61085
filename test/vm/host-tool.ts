import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { VmError, type VmErrorCode } from './vm-error.ts';

/** Not the caller's PATH: on Debian that of a user other than root lacks depmod and modprobe. */
const TOOL_DIRS: readonly string[] = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** What the test bed is made with, and the Debian package of each. */
const TOOL_PACKAGES = {
  'apt-cache': 'apt',
  'apt-get': 'apt',
  busybox: 'busybox-static',
  cpio: 'cpio',
  depmod: 'kmod',
  'dpkg-deb': 'dpkg',
  modprobe: 'kmod',
  'qemu-system-x86_64': 'qemu-system-x86',
  setpriv: 'util-linux',
} as const;

export type HostTool = keyof typeof TOOL_PACKAGES;

/** Absolute path. Throws VmError `missing-tool` that names the Debian package; `dirs` is for its test. */
export function findHostTool(tool: HostTool, dirs: readonly string[] = TOOL_DIRS): string {
  const path = dirs.map((dir) => `${dir}/${tool}`).find(isExecutable);
  if (path !== undefined) return path;
  const install = `on Debian: apt-get install ${TOOL_PACKAGES[tool]}`;
  throw new VmError('missing-tool', `the virtual machine needs ${tool}; ${install} (looked in ${dirs.join(', ')})`);
}

/** All of them at once, so that nobody downloads a kernel only to hear of a missing tool. Throws VmError `missing-tool`. */
export function requireHostTools(): void {
  for (const tool of Object.keys(TOOL_PACKAGES)) findHostTool(tool as HostTool);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface HostToolRun {
  readonly args: readonly string[];
  readonly timeoutMs: number;
  /** What a failure is. */
  readonly failure: VmErrorCode;
  readonly cwd?: string;
  readonly input?: string;
}

/** Runs a tool that must succeed and returns its stdout. Throws VmError with the tool's own words. */
export function runHostTool(tool: HostTool, run: HostToolRun): Promise<string> {
  const { args, timeoutMs, failure, cwd, input } = run;
  const file = findHostTool(tool);
  // The environment is kept: it may name the proxy that apt has to use.
  const env = { ...process.env, LC_ALL: 'C', PATH: TOOL_DIRS.join(':') };
  const options = { env, timeout: timeoutMs, maxBuffer: MAX_OUTPUT_BYTES, ...(cwd !== undefined && { cwd }) };
  return new Promise((resolve, reject) => {
    const child = execFile(file, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const ending = error.killed === true ? `no end after ${timeoutMs} ms` : `exit status ${error.code}`;
      const words = stderr.trim() || stdout.trim() || error.message;
      reject(new VmError(failure, `${tool} ${args.join(' ')}: ${ending}\n${words}`, { cause: error }));
    });
    // One that ends without reading its input is told by its exit status.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? '');
  });
}
