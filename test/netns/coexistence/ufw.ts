/** The real ufw, with a copy of its files. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ForeignTool } from './foreign-tool.ts';
import { runTool, type Surroundings } from './tool-process.ts';

/** `out` is a port that nobody may connect to, `open` one that others may. */
export function ufw(ports: { readonly out: number; readonly open: number }): ForeignTool {
  const dir = mkdtempSync(join(tmpdir(), 'pmufw-'));
  cpSync('/etc/ufw', dir, { recursive: true });
  const surroundings: Surroundings = { overlays: [[dir, '/etc/ufw']] };
  const run = (...args: readonly string[]): string => runTool(surroundings, 'ufw', ...args);
  return {
    start: async () => {
      run('--force', 'enable');
      run('reject', 'out', 'proto', 'tcp', 'to', 'any', 'port', `${ports.out}`);
      run('allow', `${ports.open}/tcp`);
    },
    restart: async () => {
      run('reload');
    },
    stop: async () => {
      run('disable');
      // It leaves empty chains behind.
      for (const command of ['iptables', 'ip6tables'])
        runTool(surroundings, 'sh', '-c', `${command} -F; ${command} -X`);
    },
    [Symbol.asyncDispose]: async () => rmSync(dir, { recursive: true }),
  };
}
