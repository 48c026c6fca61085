/**
 * Cgroups that are made anew under a path that policies name, as `systemctl restart` does: what is in them is never nobody's.
 * A sample; `npm run test:long` makes a thousand in each case (POINTSMAN_RENEWALS).
 */
import { type ExecFileException, execFile, execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCgroupTree } from '../../src/kernel/cgroup.ts';
import { Machine } from './daemon/machine.ts';
import { type DaemonProcess, DEVICE, NET, pause, type Root, SERVER4, SERVER6 } from './daemon/world.ts';

const TOP = `pmrenewed${process.pid}`;
const SENDERS = join(import.meta.dirname, 'support/cgroup-senders.py');
const ROUNDS = Number(process.env.POINTSMAN_RENEWALS ?? 30);
/** A round takes a tenth of a second and its gap, and ten times that where the machine has much else to do. */
const CASE_MS = Math.max(600_000, ROUNDS * 2000);
const PROCESSES = 4;
const SENT = ROUNDS * PROCESSES * 3;
const PORT = { denied: 81, cellular: 82, free: 83 } as const;
const GAPS_MS = [0, 5, 100] as const;

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;
const directory = (name: string): string => join(openCgroupTree()?.mountDir ?? '', TOP, name);

const inNet = (...args: readonly string[]): string =>
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, ...args], { encoding: 'utf8' });

/** By uplink and port. */
function countArrivals(): void {
  const rules = ['n1', 'n2'].flatMap((device) =>
    Object.values(PORT).map((port) => `iifname "${device}" udp dport ${port} counter name ${device}_${port}`),
  );
  const counters = ['n1', 'n2'].flatMap((device) => Object.values(PORT).map((port) => `counter ${device}_${port} {}`));
  const chain = `chain c {\ntype filter hook prerouting priority -400;\n${rules.join('\n')}\n}`;
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, 'nft', '-f', '-'], {
    input: `table inet arrivals {\n${counters.join('\n')}\n${chain}\n}\n`,
  });
}

/** Since it was asked last. */
function arrived(uplink: 'n1' | 'n2', port: number): number {
  const text = inNet('nft', '-j', 'reset', 'counter', 'inet', 'arrivals', `${uplink}_${port}`);
  const { nftables } = JSON.parse(text) as {
    readonly nftables: readonly { readonly counter?: { readonly packets: number } }[];
  };
  return nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
}

/** How many were answered of how many. */
function send(name: keyof typeof PORT, host: string, gapMs: number): Promise<readonly number[]> {
  const args = [directory(name), host, `${PORT[name]}`, `${ROUNDS}`, `${gapMs}`, `${PROCESSES}`];
  return new Promise((resolve, reject) => {
    execFile(
      'nsenter',
      [`--net=/run/netns/${DEVICE}`, '/usr/bin/python3', SENDERS, ...args],
      (error: ExecFileException | null, text) =>
        error === null ? resolve(text.trim().split(' ').map(Number)) : reject(error),
    );
  });
}

/** The policy that changes: of a cgroup, or of a program. */
type Other = 'cgroup' | 'exec';

function writeOther(kind: Other, verb: string): void {
  const value = kind === 'exec' ? root.program('other') : `/${TOP}/elsewhere`;
  const text = `pointsman: 1\napp: other\nmatch: [{ ${kind}: ${value} }]\notherwise: ${verb}\n`;
  root.write('etc/pointsman/policies/other.yaml', text);
}

/** Policies change, and cgroups of others come and go, until it is over. */
async function unrest(kind: Other, over: Promise<unknown>): Promise<void> {
  let isOver = false;
  void over.finally(() => {
    isOver = true;
  });
  for (let turn = 0; !isOver; turn += 1) {
    const other = directory(`other${turn % 3}`);
    mkdirSync(other);
    writeOther(kind, turn % 2 === 0 ? 'deny' : 'allow');
    await daemon.reload();
    rmdirSync(other);
    for (let waited = 0; waited < 5 && !isOver; waited += 1) await pause();
  }
}

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  countArrivals();
  mkdirSync(directory(''));
  for (const name of ['denied', 'cellular', 'elsewhere']) mkdirSync(directory(name));
  writeOther('cgroup', 'allow');
  const cgroupPolicy = (app: string, body: string): void =>
    root.write(
      `etc/pointsman/policies/${app}.yaml`,
      `pointsman: 1\napp: ${app}\nmatch: [{ cgroup: /${TOP}/${app} }]\n${body}`,
    );
  cgroupPolicy('denied', 'otherwise: deny\n');
  cgroupPolicy('cellular', 'via: { require: { type: cellular }, else: block }\notherwise: allow\n');
  daemon = await machine.startDaemon();
});

afterAll(async () => {
  await machine?.[Symbol.asyncDispose]();
  for (const name of ['elsewhere', '']) rmdirSync(directory(name));
});

describe.each<[string, Other]>([
  [SERVER4, 'cgroup'],
  [SERVER6, 'cgroup'],
  [SERVER4, 'exec'],
  [SERVER6, 'exec'],
])('a cgroup that is made anew, to %s, where policies speak of a %s besides', (host, kind) => {
  it.each(GAPS_MS)(
    'lets nothing out that is not its own %i ms after the one before',
    { timeout: CASE_MS },
    async (gapMs) => {
      const names = ['denied', 'cellular', 'free'] as const;
      const sending = Promise.all(names.map((name) => send(name, host, gapMs)));
      await unrest(kind, sending);
      const [denied, cellular, free] = await sending;
      expect({
        denied: [arrived('n1', PORT.denied), arrived('n2', PORT.denied)],
        cellularByWifi: arrived('n1', PORT.cellular),
        freeByCellular: arrived('n2', PORT.free),
      }).toEqual({ denied: [0, 0], cellularByWifi: 0, freeByCellular: 0 });
      // Nor is anything lost of what may pass, although it is asked about while policies change.
      expect({ denied, cellular, free }).toEqual({ denied: [0, SENT], cellular: [SENT, SENT], free: [SENT, SENT] });
    },
  );
});
