import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { kernelCacheDir, parseKernelPackage } from './debian-kernel.ts';
import { parseReports, renderReport } from './guest-report.ts';
import { findHostTool } from './host-tool.ts';
import { renderCommand, runInGuest } from './run-in-guest.ts';
import { VmError } from './vm-error.ts';

const TIMEOUT_MS = 60_000;
const sh = (script: string, timeoutMs = TIMEOUT_MS) =>
  runInGuest({ command: ['sh', '-c', script], cwd: '/', timeoutMs });
const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('runInGuest()', () => {
  let emptyDir: string;

  beforeEach(() => {
    emptyDir = mkdtempSync(join(tmpdir(), 'run-in-guest-'));
    vi.stubEnv('TMPDIR', emptyDir);
  });

  afterEach(() => {
    vi.unstubAllEnvs();
    const left = readdirSync(emptyDir);
    rmSync(emptyDir, { recursive: true });
    expect(left).toEqual([]);
  });

  it('runInGuest() returns exit status, stdout and stderr of its command, and leaves this machine as it was', async () => {
    const outcome = await sh('echo said; echo complained >&2; touch /left-by-the-guest; id -u; exit 7');
    expect(outcome).toMatchObject({ exitStatus: 7, stdout: 'said\n0\n', stderr: 'complained\n' });
    expect(readdirSync('/')).not.toContain('left-by-the-guest');
  });

  it('runInGuest() notices a kernel panic and shows it', async () => {
    const failure = await failureOf(sh('echo so far; echo c >/proc/sysrq-trigger'));
    expect(failure).toBeInstanceOf(VmError);
    expect(failure).toMatchObject({
      code: 'guest-panic',
      message: expect.stringMatching(/console:[\s\S]*Kernel panic - not syncing: sysrq[\s\S]*stdout:\n {2}\| so far\n/),
    });
  });

  it('runInGuest() ends a guest that takes too long, and shows what there is', async () => {
    const failure = await failureOf(sh('sleep 1000', 8000));
    expect(failure).toMatchObject({
      code: 'timed-out',
      message: expect.stringMatching(/8000 ms\n {2}end of the guest's/),
    });
  });
});

describe('what runInGuest() is made of', () => {
  it('findHostTool() names the Debian package of a tool that is missing', () => {
    expect(() => findHostTool('qemu-system-x86_64', ['/nowhere'])).toThrow(/apt-get install qemu-system-x86 /);
    expect(() => findHostTool('busybox', ['/nowhere'])).toThrow(/apt-get install busybox-static /);
  });

  it('parseKernelPackage() finds the package, and says what to do where there is none', () => {
    const depends = 'linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n  Conflicts: something\n';
    expect(parseKernelPackage(depends)).toBe('linux-image-6.1.0-56-amd64');
    expect(() => parseKernelPackage('linux-image-amd64\n')).toThrow(/run apt-get update/);
    expect(() => parseKernelPackage('x\n  Depends: linux-image-../../etc\n')).toThrow(VmError);
  });

  it('kernelCacheDir() follows XDG_CACHE_HOME, then HOME, then the account', () => {
    expect(kernelCacheDir({ XDG_CACHE_HOME: '/cache', HOME: '/home/x' })).toBe('/cache/pointsman/vm');
    expect(kernelCacheDir({ XDG_CACHE_HOME: 'relative', HOME: '/home/x' })).toBe('/home/x/.cache/pointsman/vm');
    expect(kernelCacheDir({})).toMatch(/^\/.+\/pointsman\/vm$/);
  });

  it('renderCommand() keeps every argument as it is', () => {
    const command = ['printf', '%s|', "it's", '$HOME `x` \\', 'two\nlines', ''];
    const script = renderCommand({ command, cwd: '/' });
    expect(execFileSync('sh', ['-c', script], { encoding: 'utf8' })).toBe("it's|$HOME `x` \\|two\nlines||");
  });

  it('parseReports() reads what renderReport() writes, and nothing else', () => {
    const failure = { kind: 'failure', file: 'a.ts', name: 'b', message: 'two\nlines' } as const;
    const output = `stray\n${renderReport(failure)}{"kind":"end"}\n${renderReport({ kind: 'end' })}`;
    expect(parseReports(output)).toEqual([failure, { kind: 'end' }]);
    expect(() => parseReports(renderReport(failure).slice(0, -5))).toThrow(SyntaxError);
  });
});
