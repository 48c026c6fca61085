/**
 * OpenSnitch's daemon, as Debian packages it, with the least to do: one rule that allows everything, processes found by
 * /proc. It runs in a network namespace of its own, where it makes its rules, and in a mount namespace of its own, where
 * its configuration stands in the place of the machine's.
 */
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchWorld, Client } from './bench-world.ts';
import { type BackgroundProgram, runProgram, startProgram } from './programs.ts';
import { queueCounts } from './queue-counts.ts';
import { makeScratchDir, removeScratchDir } from './scratch.ts';

const PROGRAM = '/usr/bin/opensnitchd';
const CONFIG_DIR = '/etc/opensnitchd';
export const OPENSNITCH_QUEUE = 0;
export const OPENSNITCH_MISSING = 'package opensnitch is not installed';
const START_TIMEOUT_MS = 15_000;
const POLL_MS = 100;

const CONFIG = {
  Server: { Address: 'unix:///nonexistent/opensnitch.sock', LogFile: '' },
  DefaultAction: 'allow',
  DefaultDuration: 'once',
  InterceptUnknown: false,
  ProcMonitorMethod: 'proc',
  // Warnings and worse.
  LogLevel: 3,
  Firewall: 'iptables',
  Stats: { MaxEvents: 150, MaxStats: 25 },
};
const ALLOW_ALL = {
  created: '2024-01-01T00:00:00Z',
  updated: '2024-01-01T00:00:00Z',
  name: 'allow-all',
  enabled: true,
  precedence: false,
  action: 'allow',
  duration: 'always',
  operator: { type: 'simple', operand: 'true', sensitive: false, data: '', list: [] },
};

export interface OpenSnitch extends AsyncDisposable {
  readonly client: Client;
}

/** In a client of its own. `undefined` where it is not installed; rejects where it does not start. */
export async function startOpenSnitch(world: BenchWorld): Promise<OpenSnitch | undefined> {
  const isInstalled = await access(PROGRAM).then(
    () => true,
    () => false,
  );
  if (!isInstalled) return undefined;
  const client = await world.addClient('opensnitch');
  const dir = await makeScratchDir('opensnitch');
  let daemon: BackgroundProgram | undefined;
  const end = async (): Promise<void> => {
    await daemon?.stop();
    await removeScratchDir(dir);
  };
  try {
    daemon = startProgram(client.inside(await commandIn(dir)));
    await untilQueueing(client, daemon);
    return { client, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Mounts of the namespace end with it; `exec`, so that the pid is the daemon's and signals reach it. */
const IN_PLACE = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';

async function commandIn(dir: string): Promise<string[]> {
  const [config, rules] = [join(dir, 'etc'), join(dir, 'rules')];
  await mkdir(config);
  await mkdir(rules);
  await writeFile(join(config, 'default-config.json'), JSON.stringify(CONFIG));
  await writeFile(join(config, 'system-fw.json'), JSON.stringify({ SystemRules: [] }));
  await writeFile(join(rules, 'allow-all.json'), JSON.stringify(ALLOW_ALL));
  const daemon = [PROGRAM, '-process-monitor-method', 'proc', '-rules-path', rules, '-no-live-reload'];
  const inOwnMounts = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', IN_PLACE, 'sh'];
  return [...inOwnMounts, config, CONFIG_DIR, ...daemon];
}

async function untilQueueing(client: Client, daemon: BackgroundProgram): Promise<void> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  const ended = daemon.ended.then(() => 'ended' as const);
  for (;;) {
    const [rules, isServed] = await Promise.all([
      runProgram(client.inside(['iptables-nft', '-t', 'mangle', '-S', 'OUTPUT'])),
      queueCounts(client, OPENSNITCH_QUEUE).then(
        () => true,
        () => false,
      ),
    ]);
    if (isServed && rules.stdout.includes(`NFQUEUE --queue-num ${OPENSNITCH_QUEUE}`)) return;
    const pause = new Promise<'waited'>((resolve) => setTimeout(() => resolve('waited'), POLL_MS));
    if (Date.now() > deadlineMs || (await Promise.race([ended, pause])) === 'ended') {
      throw new Error(`OpenSnitch's daemon does not queue packets: ${daemon.complaint()}`);
    }
  }
}
