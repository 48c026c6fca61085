import { describe, expect, it } from 'vitest';
import { findTool, hasTool, runTool } from './run-tool.ts';

const CAT = { name: 'cat', debianPackage: 'coreutils' };

describe('findTool', () => {
  it('findTool() names the Debian package of a tool that is missing', () => {
    const missing = { name: 'no-such-tool', debianPackage: 'nftables' };
    expect(hasTool(missing)).toBe(false);
    expect(() => findTool(missing)).toThrow(expect.objectContaining({ name: 'KernelError', code: 'ENOENT' }));
    expect(() => findTool(missing)).toThrow('install the package nftables');
  });

  it('findTool() returns an absolute path', () => {
    expect(findTool(CAT)).toMatch(/^\/.*\/cat$/);
  });
});

describe('runTool', () => {
  it('runTool() hands over input and returns output', async () => {
    const input = 'x'.repeat(1_000_000);
    expect(await runTool(findTool(CAT), [], input)).toEqual({ status: 0, stdout: input, stderr: '' });
  });

  it('runTool() returns a status other than 0 with its message, in the C locale', async () => {
    const result = await runTool(findTool(CAT), ['/no/such/file']);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('No such file or directory');
  });

  it('runTool() survives a tool that does not read its input', async () => {
    expect((await runTool('/bin/true', [], 'x'.repeat(10_000_000))).status).toBe(0);
  });

  it('runTool() throws a KernelError for what cannot be run', async () => {
    await expect(runTool('/no/such/tool', ['--version'])).rejects.toMatchObject({
      name: 'KernelError',
      code: 'ENOENT',
    });
  });
});
