import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeMachine } from '../../test/contract/fake-machine.ts';
import { identitySources } from '../identify/identify-flow.ts';
import type { SocketTables } from '../identify/socket-diag.ts';
import { parseAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import { indexApps } from '../policy/match-app.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import type { InForce } from './in-force.ts';
import { MAX_LOOKS, StrangerOwner } from './stranger-owner.ts';

const ESTABLISHED = 1;
const FLOW: Flow = {
  protocol: 6,
  source: parseAddress('192.0.2.1') ?? fail(),
  sourcePort: 40_000,
  destination: parseAddress('192.0.2.2') ?? fail(),
  destinationPort: 80,
  loopback: false,
};
const policySet = { apps: [], systemDefault: builtinSystemDefault, uplinks: [] };
// As much of it as is looked at.
const IN_FORCE = { index: indexApps(policySet), snapshot: { revision: 1 } } as unknown as InForce;

let machine: FakeMachine;
beforeEach(() => {
  machine = new FakeMachine();
});
afterEach(() => machine[Symbol.dispose]());

/** `found`: what the kernel says of the flow's socket. */
function owners(found: ReturnType<SocketTables['lookup']>): {
  readonly owners: StrangerOwner;
  readonly asked: () => number;
} {
  let asked = 0;
  const tables: SocketTables = {
    lookup: () => {
      asked += 1;
      return found;
    },
    dump: () => [],
  };
  const { proc, cgroups, marks } = machine;
  const sources = { ...identitySources(proc, tables, cgroups, marks), [Symbol.dispose]: () => undefined };
  return { owners: new StrangerOwner(marks, () => sources), asked: () => asked };
}

describe('StrangerOwner', () => {
  it('StrangerOwner names the process that made the socket', () => {
    const path = machine.path('stranger');
    machine.writeFile(path);
    const process = machine.start(path, { uid: 1000 });
    const { mark: _, ...socket } = machine.makeSocket(process);
    const { owners: own } = owners({ ...socket, state: ESTABLISHED, cookie: socket.cookie ?? 0n });
    expect(own.ownerOf(FLOW, IN_FORCE, 0)).toMatchObject({ pid: process.pid, uid: 1000, executable: path });
  });

  it('StrangerOwner says nothing where the socket is closed, or nobody noted who made it', () => {
    expect(owners(undefined).owners.ownerOf(FLOW, IN_FORCE, 0)).toBeUndefined();
    const unknown = { state: ESTABLISHED, inode: 7, uid: 0, cookie: 99n };
    expect(owners(unknown).owners.ownerOf(FLOW, IN_FORCE, 0)).toBeUndefined();
  });

  it('StrangerOwner looks so often in a second, and no more', () => {
    const { owners: own, asked } = owners(undefined);
    for (let flow = 0; flow < 3 * MAX_LOOKS; flow++) own.ownerOf(FLOW, IN_FORCE, 500);
    const inOneSecond = asked();
    own.ownerOf(FLOW, IN_FORCE, 1600);
    expect(asked()).toBeGreaterThan(inOneSecond);
    expect(inOneSecond).toBe((asked() - inOneSecond) * MAX_LOOKS);
  });
});

function fail(): never {
  throw new Error('no address');
}
