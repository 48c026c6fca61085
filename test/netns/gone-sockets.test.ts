/**
 * Sockets that are gone when their packet is looked at are not a stranger's: whoever closes right after sending is held to its policy all
 * the same. What the other end counts decides.
 */
import { type ChildProcess, type ExecFileException, execFile, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCgroupTree } from '../../src/kernel/cgroup.ts';
import { Machine } from './daemon/machine.ts';
import {
  type DaemonProcess,
  DEVICE,
  eventually,
  inDevice,
  NET,
  pause,
  type Root,
  SERVER4,
  SERVER6,
} from './daemon/world.ts';

const TOP = `pmgone${process.pid}`;
const SENDERS = join(import.meta.dirname, 'support/brief-senders.py');
const PYTHON = '/usr/bin/python3';
const COUNT = 100;
const PORTS = { denied: 81, routed: 82, allowed: 83, free: 84 } as const;
type Who = keyof typeof PORTS;
const WHO = Object.keys(PORTS) as readonly Who[];

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;
const cgroup = (name: string): string => join(openCgroupTree()?.mountDir ?? '', TOP, name);

/** By uplink and port. */
function countArrivals(): void {
  const each = ['n1', 'n2'].flatMap((device) => Object.values(PORTS).map((port) => [device, port] as const));
  const counters = each.map(([device, port]) => `counter ${device}_${port} {}`);
  const rules = each.map(([device, port]) => `iifname "${device}" udp dport ${port} counter name ${device}_${port}`);
  const chain = `chain c {\ntype filter hook prerouting priority -400;\n${rules.join('\n')}\n}`;
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, 'nft', '-f', '-'], {
    input: `table inet arrivals {\n${counters.join('\n')}\n${chain}\n}\n`,
  });
}

/** Since it was asked last: by the first uplink, by the second. */
function arrived(who: Who): readonly number[] {
  return ['n1', 'n2'].map((device) => {
    const args = ['nft', '-j', 'reset', 'counter', 'inet', 'arrivals', `${device}_${PORTS[who]}`];
    const text = execFileSync('nsenter', [`--net=/run/netns/${NET}`, ...args], { encoding: 'utf8' });
    const { nftables } = JSON.parse(text) as {
      readonly nftables: readonly { readonly counter?: { readonly packets: number } }[];
    };
    return nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
  });
}

/** Packets that the kernel holds for the daemon. */
function waiting(): number {
  const text = inDevice('cat', '/proc/self/net/netfilter/nfnetlink_queue');
  return text === '' ? 0 : Number(text.trim().split(/\s+/)[2]);
}

const allArrived = async (): Promise<Record<Who, readonly number[]>> => {
  await eventually(waiting, (count) => count === 0);
  return Object.fromEntries(WHO.map((who) => [who, arrived(who)])) as Record<Who, readonly number[]>;
};

/** How many were sent, and how many refused. */
function run(program: string, mode: string, who: Who, host: string, ...rest: readonly string[]): Promise<number[]> {
  const args = [`--net=/run/netns/${DEVICE}`, program, SENDERS, mode, host, `${PORTS[who]}`, ...rest];
  return new Promise((resolve, reject) => {
    execFile('nsenter', args, (error: ExecFileException | null, text) =>
      error === null ? resolve(text.trim().split(' ').map(Number)) : reject(error),
    );
  });
}

/** Sends one after the other until it is told to end. */
class Endless {
  readonly #child: ChildProcess;
  #text = '';
  readonly #closed: Promise<unknown>;
  readonly ready: Promise<void>;

  constructor(program: string, who: Who, host: string) {
    const args = [`--net=/run/netns/${DEVICE}`, program, SENDERS, 'endless', host, `${PORTS[who]}`];
    this.#child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.ready = new Promise((resolve) => {
      this.#child.stdout?.on('data', (chunk: Buffer) => {
        this.#text += chunk.toString();
        resolve();
      });
    });
    this.#closed = new Promise((resolve) => this.#child.once('close', resolve));
  }

  /** How many were sent, and how many refused. */
  async end(): Promise<number[]> {
    this.#child.stdin?.end();
    await this.#closed;
    return (this.#text.split('\n')[1] ?? '').split(' ').map(Number);
  }
}

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  countArrivals();
  mkdirSync(cgroup(''));
  for (const name of WHO) mkdirSync(cgroup(name));
  const both = (app: Who, body: string): void =>
    root.write(
      `etc/pointsman/policies/${app}.yaml`,
      `pointsman: 1\napp: ${app}\nmatch: [{ exec: ${root.program(app)} }, { cgroup: /${TOP}/${app} }]\n${body}`,
    );
  both('denied', 'otherwise: deny\n');
  both('routed', 'via: { require: { type: cellular }, else: block }\notherwise: allow\n');
  both('allowed', 'otherwise: allow\n');
  root.program('free');
  daemon = await machine.startDaemon(['--keep']);
});

afterAll(async () => {
  await machine?.[Symbol.asyncDispose]();
  for (const name of [...WHO, '']) rmdirSync(cgroup(name));
});

const AS_POLICY_SAYS = {
  denied: [0, 0],
  routed: [0, COUNT],
  allowed: [COUNT, 0],
  free: [COUNT, 0],
};

describe.each([SERVER4, SERVER6])('a socket that is closed right after it has sent to %s', (host) => {
  it('in a cgroup that is new, below one that a policy names', async () => {
    await Promise.all(WHO.map((who) => run(PYTHON, 'cgroup', who, host, `${COUNT}`, cgroup(who))));
    expect(await allArrived()).toEqual(AS_POLICY_SAYS);
  });

  it('of a program whose file is touched before each start', async () => {
    await Promise.all(WHO.map((who) => run(PYTHON, 'touched', who, host, `${COUNT}`, root.program(who))));
    expect(await allArrived()).toEqual(AS_POLICY_SAYS);
  });

  it('of a program that is known', async () => {
    await Promise.all(WHO.map((who) => run(root.program(who), 'close', who, host, `${COUNT}`)));
    expect(await allArrived()).toEqual(AS_POLICY_SAYS);
  });

  it.each([
    ['is killed', 'SIGKILL'],
    ['ends, and policies are kept', 'SIGTERM'],
  ] as const)('while the daemon %s and starts again', async (_, signal) => {
    const senders = WHO.map((who) => new Endless(root.program(who), who, host));
    await Promise.all(senders.map(({ ready }) => ready));
    for (let round = 0; round < 2; round += 1) {
      await daemon.signal(signal);
      for (let waited = 0; waited < 10; waited += 1) await pause();
      daemon = await machine.startDaemon(['--keep']);
    }
    const counts = await Promise.all(senders.map((sender) => sender.end()));
    const found = await allArrived();
    const [, routed, allowed, free] = counts.map(([sent]) => sent ?? 0);
    expect(found).toEqual({ denied: [0, 0], routed: [0, routed], allowed: [allowed, 0], free: [free, 0] });
    expect(counts.map(([, refused]) => refused)).toEqual([counts[0]?.[1], 0, 0, 0]);
  });
});
