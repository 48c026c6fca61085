/** What telling programs apart costs: who has never been seen, many at once, beside a flood, and for each socket and script. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { QUEUE_NUMBER } from './baselines.ts';
import type { Client } from './bench-world.ts';
import { ASKED, type IdentityResults, LEAST_SUSTAINED_PER_SECOND } from './identity-results.ts';
import { type FirstConnectState, measureFirstConnect } from './measure-first-connect.ts';
import { measureFlood } from './measure-flood.ts';
import { type Bed, startOn } from './measure-scale.ts';
import { measureScriptStart } from './measure-script-start.ts';
import { measureSocket, type SocketOptions } from './measure-socket.ts';
import { measureSustained } from './measure-sustained.ts';
import { OPENSNITCH_MISSING, OPENSNITCH_QUEUE, startOpenSnitch } from './opensnitch.ts';
import { makeScratchDir, removeScratchDir } from './scratch.ts';

export interface IdentityExtent {
  readonly first: { readonly rounds: number; readonly connections: number };
  readonly sustainedSeconds: number;
  readonly flood: { readonly rounds: number; readonly connections: number };
  readonly sockets: SocketOptions;
  readonly scripts: { readonly rounds: number; readonly starts: number };
}

export interface IdentityBaselines {
  readonly conntrack: Client;
  readonly acceptAll: Client;
}

/** A little more than is asked for, so that the load's own delays do not count. */
const SUSTAINED_LOAD_PER_SECOND = LEAST_SUSTAINED_PER_SECOND * 1.01;
/** Of load programs that are to be asked about once, as they are called as a program that a policy names. */
const NAMESAKES = ['connect-once', 'sustained-connect', 'udp-flood'];
const ASKED_ABOUT = { isAsked: true, called: 'connect-once' } as const;
const STRANGER = { isAsked: false, called: 'stranger' } as const;
const SCRIPT = '#!/bin/sh\n:\n';

/** No other daemon may run meanwhile: what marks sockets hangs on the whole machine. */
export async function measureIdentity(
  bed: Bed,
  { conntrack, acceptAll }: IdentityBaselines,
  extent: IdentityExtent,
  progress: (text: string) => void,
): Promise<Omit<IdentityResults, 'known'>> {
  const dir = await makeScratchDir('scripts');
  try {
    const asked = await measureAsked(bed, { conntrack, acceptAll }, extent, dir, progress);
    progress('making sockets');
    return { ...asked, sockets: await measureSocket(bed, extent.sockets) };
  } finally {
    await removeScratchDir(dir);
  }
}

async function measureAsked(
  bed: Bed,
  { conntrack, acceptAll }: IdentityBaselines,
  extent: IdentityExtent,
  dir: string,
  progress: (text: string) => void,
): Promise<Omit<IdentityResults, 'known' | 'sockets'>> {
  const { programs } = bed;
  const [listed, unlisted] = await writeScripts(dir);
  const policies = { apps: 10, executable: programs.connect, script: listed, namesakes: NAMESAKES };
  progress('starting daemons that know nobody');
  await using daemon = await startOn(bed, 'asked', policies);
  await using withoutBpf = await startOn(bed, 'nobpf', policies, { without: 'bpf' });
  const { client, queue } = daemon;
  const queueing = [
    { name: ASKED.acceptAll, client: acceptAll, queue: QUEUE_NUMBER, ...ASKED_ABOUT },
    { name: ASKED.namesake, client, queue, ...ASKED_ABOUT },
    { name: ASKED.withoutBpf, client: withoutBpf.client, queue: withoutBpf.queue, ...ASKED_ABOUT },
  ] as const;
  progress('connecting from unknown processes');
  const notAsked = [
    { name: ASKED.conntrack, client: conntrack, ...STRANGER },
    { name: ASKED.daemon, client, queue, ...STRANGER },
  ] as const;
  const first = await measureFirst(bed, [...notAsked, ...queueing], extent.first);
  progress('connecting without a pause');
  const load = { program: programs.sustainedConnect, perSecond: SUSTAINED_LOAD_PER_SECOND };
  const seconds = extent.sustainedSeconds;
  const sustained = [
    await measureSustained(daemon, { ...load, seconds, name: 'made before, with BPF', sockets: 'before' }),
    await measureSustained(withoutBpf, { ...load, seconds, name: 'made for each, without BPF', sockets: 'each' }),
  ];
  progress('connecting beside a flood');
  const flood = await measureFlood(queueing, { programs, ...extent.flood });
  progress('starting scripts');
  const scripts = { program: programs.scriptStart, listed, unlisted, ...extent.scripts };
  const script = await measureScriptStart(daemon.client, scripts);
  return { tiers: daemon.identity, ...first, sustained, flood, script };
}

async function measureFirst(
  { world, programs }: Bed,
  states: readonly FirstConnectState[],
  extent: IdentityExtent['first'],
): Promise<Pick<IdentityResults, 'firstConnect' | 'openSnitchMissing'>> {
  await using openSnitch = await startOpenSnitch(world);
  const options = { programs, baseline: ASKED.acceptAll, ...extent };
  if (openSnitch === undefined) {
    return { firstConnect: await measureFirstConnect(states, options), openSnitchMissing: OPENSNITCH_MISSING };
  }
  const theirs = { name: ASKED.openSnitch, client: openSnitch.client, queue: OPENSNITCH_QUEUE, ...ASKED_ABOUT };
  return { firstConnect: await measureFirstConnect([...states, theirs], options) };
}

/** The same text in two files. */
async function writeScripts(dir: string): Promise<[string, string]> {
  await mkdir(join(dir, 'bin'));
  const [listed, unlisted] = [join(dir, 'bin/listed'), join(dir, 'bin/unlisted')];
  for (const path of [listed, unlisted]) await writeFile(path, SCRIPT, { mode: 0o755 });
  return [listed, unlisted];
}
