import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCgroupTree } from '../../../src/kernel/cgroup.ts';
import type { NftCommand } from '../../../src/plan/nft/command.ts';
import { drop, rule, vmap } from '../../../src/plan/nft/expressions.ts';
import { type NamespaceWorld, openNamespaceWorld } from '../../contract/namespace-world.ts';
import { CGROUPS, chain, gotoElement, rulesetOf } from '../../contract/sample-ruleset.ts';

const MOUNT_DIR = '/sys/fs/cgroup';
const GROUP = '/pointsman-guest';
const MAP = { ...CGROUPS, elements: [] };
const OUTPUT = {
  ...chain('output', rule(vmap({ kind: 'cgroup', level: 1 }, MAP.name))),
  hook: { type: 'filter', hook: 'output', priority: 0, policy: 'accept' },
} as const;
const RULESET = rulesetOf({ chains: [OUTPUT, chain('app_1', rule(drop))], maps: [MAP] });

describe('Nft.apply() with elements of a cgroup map', () => {
  let world: NamespaceWorld;
  let ownCgroup: string;

  const apply = (...commands: readonly NftCommand[]): Promise<void> => world.kernel.nft.apply(commands, Date.now());
  const element = () => gotoElement(openCgroupTree()?.idOfPath(GROUP) ?? 0n, 'app_1');

  beforeAll(async () => {
    world = await openNamespaceWorld();
    ownCgroup = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
    mkdirSync(`${MOUNT_DIR}${GROUP}`);
    await apply({ kind: 'replace table', ruleset: RULESET });
  });

  afterAll(async () => {
    enterCgroup(ownCgroup);
    rmdirSync(`${MOUNT_DIR}${GROUP}`);
    await world.close();
  });

  it('Nft.apply() governs the sockets made in a cgroup, and those alone, from the packet after on', async () => {
    await using outside = await openSocket();
    enterCgroup(GROUP);
    await using inside = await openSocket();
    expect([await send(outside.socket), await send(inside.socket)]).toEqual(['sent', 'sent']);
    await apply({ kind: 'add map elements', map: MAP, elements: [element()] });
    expect([await send(outside.socket), await send(inside.socket)]).toEqual(['sent', 'EPERM']);
    await apply({ kind: 'delete map elements', map: MAP, elements: [element()] });
    expect([await send(outside.socket), await send(inside.socket)]).toEqual(['sent', 'sent']);
  });
});

function enterCgroup(path: string): void {
  writeFileSync(`${MOUNT_DIR}${path}/cgroup.procs`, `${process.pid}`);
}

async function openSocket(): Promise<AsyncDisposable & { readonly socket: Socket }> {
  const socket = createSocket('udp4');
  socket.bind(0, '192.0.2.2');
  await once(socket, 'listening');
  return { socket, [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())) };
}

/** The sender of a packet that the output hook drops is told so. */
function send(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.send('x', 9, '192.0.2.2', (error) => resolve((error as NodeJS.ErrnoException | null)?.code ?? 'sent'));
  });
}
