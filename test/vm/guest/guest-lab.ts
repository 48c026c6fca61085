/** The lab's world with the real daemon, in the guest, and what its other end saw. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeCommand } from '../../../src/kernel/node-command.ts';
import { labDown } from '../../../src/lab/lab-down.ts';
import { labCollect } from '../../../src/lab/lab-exec.ts';
import { type LabFiles, labFiles } from '../../../src/lab/lab-state.ts';
import { labUp } from '../../../src/lab/lab-up.ts';
import type { Outcome } from '../../../src/lab/run-tool.ts';
import { readSeenLog, type Seen, seenLogEnd } from '../../../src/lab/server-log.ts';
import { namespaceName } from '../../../src/lab/world.ts';
import { QUEUE_NUMBER } from '../../../src/plan/reserved.ts';

const PROGRAM = fileURLToPath(new URL('../../../dist/main/pointsman.js', import.meta.url));
const DAEMON = new URL('../../../dist/daemon/run.js', import.meta.url).href;
const LAB_UPLINK_FILES = fileURLToPath(new URL('../../../examples/lab/uplinks', import.meta.url));
const POLICIES_DIR = fileURLToPath(new URL('policies', import.meta.url));
const COMMAND_TIMEOUT_MS = 60_000;
/** Swallowed on arrival, unanswered: a flow that goes there is one-way. */
export const SINK_PORT = 4000;
/** Counts, by uplink, what arrives in the internet for the echo service and the sink. */
const COUNTERS = `table inet arrived {
  counter wifi { }
  counter cell { }
  chain arriving { type filter hook prerouting priority -400;
    iifname "wifi" th dport { 7, ${SINK_PORT} } counter name "wifi"
    iifname "cell" th dport { 7, ${SINK_PORT} } counter name "cell"
    udp dport ${SINK_PORT} drop
  }
}
`;

export interface GuestLab extends AsyncDisposable {
  readonly files: LabFiles;
  /** On the device, unmodified, as a user would. */
  run(...command: readonly string[]): Promise<Outcome>;
  runWithInput(input: string, ...command: readonly string[]): Promise<Outcome>;
  pointsman(...args: readonly string[]): Promise<Outcome>;
  /** What the servers have seen since the last call. */
  newlySeen(): readonly Seen[];
  /** Packets that have arrived by each uplink, retransmissions included. */
  arrived(): Readonly<Record<'wifi' | 'cell', number>>;
  /** Packets that the device's queue has ever been given. */
  packetsQueued(): Promise<number>;
}

/** Emulated and read over 9p for the first time, the program takes longer to start than anybody waits for a daemon. */
export function warmUp(): void {
  execFileSync(process.execPath, [PROGRAM, '--version']);
  const load = 'await import(process.argv[1]); process.exit()';
  execFileSync(process.execPath, ['--input-type=module', '--eval', load, DAEMON]);
}

export async function openGuestLab(): Promise<GuestLab> {
  const lab = { id: 'guest', stateDir: join(mkdtempSync(join(tmpdir(), 'lab-')), 'state') };
  warmUp();
  const uplinksDir = mkdtempSync(join(tmpdir(), 'uplinks-'));
  for (const name of ['wifi', 'cellular']) {
    cpSync(join(LAB_UPLINK_FILES, `${name}.yaml`), join(uplinksDir, `${name}.yaml`));
  }
  const pointsmanCommand = nodeCommand(PROGRAM);
  await labUp({ ...lab, pointsmanCommand, policiesDir: POLICIES_DIR, uplinksDir });
  const files = labFiles(lab.stateDir);
  const nftInternet = (args: readonly string[], input = ''): string => {
    const command = [`--net=/run/netns/${namespaceName(lab.id, 'net')}`, 'nft', ...args];
    return execFileSync('nsenter', command, { input, encoding: 'utf8' });
  };
  nftInternet(['-f', '-'], COUNTERS);
  const runWithInput = (input: string, ...command: readonly string[]): Promise<Outcome> =>
    labCollect({ ...lab, command, input, timeoutMs: COMMAND_TIMEOUT_MS });
  let seenUpTo = 0;
  return {
    files,
    run: (...command) => runWithInput('', ...command),
    runWithInput,
    pointsman: (...args) => runWithInput('', process.execPath, PROGRAM, '--root', files.rootDir, ...args),
    newlySeen: () => {
      const seen = readSeenLog(files.seenLog, seenUpTo);
      seenUpTo = seenLogEnd(files.seenLog);
      return seen;
    },
    arrived: () => parseCounters(nftInternet(['-j', 'list', 'counters', 'table', 'inet', 'arrived'])),
    packetsQueued: async () =>
      parseQueued((await runWithInput('', 'cat', '/proc/net/netfilter/nfnetlink_queue')).stdout),
    [Symbol.asyncDispose]: async () => {
      await labDown(lab);
    },
  };
}

function parseCounters(listing: string): Readonly<Record<'wifi' | 'cell', number>> {
  const { nftables } = JSON.parse(listing) as { nftables: { counter?: { name: string; packets: number } }[] };
  const packets = (name: string): number => {
    const found = nftables.find(({ counter }) => counter?.name === name)?.counter;
    if (found === undefined) throw new Error(`no counter ${name} in ${listing}`);
    return found.packets;
  };
  return { wifi: packets('wifi'), cell: packets('cell') };
}

/** nfnetlink_queue.c, seq_show: the first column is the queue's number, the eighth the last packet's id. */
function parseQueued(table: string): number {
  const columns = table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(([number]) => number === `${QUEUE_NUMBER}`);
  if (columns === undefined) throw new Error(`nobody has queue ${QUEUE_NUMBER}:\n${table}`);
  return Number(columns[7]);
}
