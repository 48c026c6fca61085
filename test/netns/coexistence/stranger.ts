/** Plain programs that no policy names, on either side of the world. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const PYTHON = realpathSync('/usr/bin/python3');
const DAEMON_DIR = join(import.meta.dirname, '../daemon');

/** One exchange: the address that the other end saw, or an error's name. */
export async function askFrom(namespace: string, kind: string, host: string, port: number): Promise<string> {
  const client = [PYTHON, join(DAEMON_DIR, 'client.py'), kind, host, `${port}`];
  const { stdout } = await promisify(execFile)('nsenter', [`--net=/run/netns/${namespace}`, ...client]);
  return stdout.trim();
}

/** Tells whoever connects the address that it came from. Resolves when it listens. */
export function serveIn(namespace: string, v4: string, v6: string, ports: readonly number[]): Promise<ChildProcess> {
  const server = [PYTHON, join(DAEMON_DIR, 'echo_server.py'), v4, v6, ...ports.map(String)];
  const child = spawn('nsenter', [`--net=/run/netns/${namespace}`, ...server]);
  return new Promise((resolve, reject) => {
    child.stdout.once('data', () => resolve(child));
    child.once('close', (code) => reject(new Error(`the server ended with ${code}`)));
  });
}
