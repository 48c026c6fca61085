/**
 * Other people's firewalls beside the daemon, in whatever order they start: both hold with real packets, and what is theirs
 * is, byte for byte, what they make of it alone. ufw and firewalld are the real ones; Docker's rules are written by hand.
 */
import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { docker } from './coexistence/docker.ts';
import { firewalld } from './coexistence/firewalld.ts';
import { foreignState, linesMissing } from './coexistence/foreign-state.ts';
import type { ForeignTool } from './coexistence/foreign-tool.ts';
import { askFrom, serveIn } from './coexistence/stranger.ts';
import { ufw } from './coexistence/ufw.ts';
import { buildBridge, Container } from './daemon/container.ts';
import { Machine } from './daemon/machine.ts';
import {
  type DaemonProcess,
  DEVICE,
  eventually,
  FIRST,
  inDevice,
  NET,
  once,
  type Root,
  SECOND,
  SERVER4,
  SERVER6,
} from './daemon/world.ts';

const OUT = 84;
const OPEN = 8082;
const CLOSED = 8081;
const PUBLISHED = 8080;
const CONTAINER_PORT = 90;
/** The router's end of the first link. */
const ROUTER4 = '10.9.1.1';
const POLICY = `rules:
  - { to: ["*:80", "*:${OUT}"], do: allow, via: { require: { type: cellular }, else: block } }
  - { to: ["*:81"], do: deny }
`;

const web = new Container('web', 2);
let root: Root;
let machine: Machine;
let listener: ChildProcess;
let daemon: DaemonProcess;

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  listener = await serveIn(DEVICE, FIRST.v4, FIRST.v6, [CLOSED, OPEN]);
  root.policy('mail', POLICY);
  root.write(
    'etc/pointsman/policies/web.yaml',
    `pointsman: 1\napp: web\nmatch: [{ container: ${web.id.slice(0, 12)} }]\n${POLICY}`,
  );
  daemon = await machine.startDaemon();
});

afterAll(async () => {
  listener?.kill('SIGKILL');
  await web.stop();
  await machine?.[Symbol.asyncDispose]();
});

async function oursHolds(): Promise<void> {
  const seen = await Promise.all([
    once(root, 'mail', 'tcp', SERVER4, 80),
    once(root, 'mail', 'udp', SERVER6, 80),
    once(root, 'mail', 'tcp', SERVER4, 81),
    once(root, 'other', 'tcp', SERVER4, 81),
  ]);
  expect(seen).toEqual([SECOND.v4, SECOND.v6, 'ECONNREFUSED', FIRST.v4]);
}

/** A port closed by it for everybody, whatever we allow there, and one that it has opened for others. */
async function hostFirewallHolds(): Promise<void> {
  const seen = await Promise.all([
    ...['mail', 'other'].map((app) => once(root, app, 'tcp', SERVER4, OUT)),
    ...[OPEN, CLOSED].map((port) => askFrom(NET, 'tcp', FIRST.v4, port)),
  ]);
  // ufw drops, firewalld refuses.
  expect(['timeout', 'EHOSTUNREACH']).toContain(seen.pop());
  expect(seen).toEqual(['ECONNREFUSED', 'ECONNREFUSED', ROUTER4]);
}

async function dockerHolds(): Promise<void> {
  await eventually(
    () => web.once('tcp', SERVER4, 81),
    (seen) => seen === 'ECONNREFUSED',
  );
  const seen = await Promise.all([
    ...[80, 82, OUT].map((port) => web.once('tcp', SERVER4, port)),
    askFrom(NET, 'tcp', FIRST.v4, PUBLISHED),
  ]);
  expect(seen).toEqual([SECOND.v4, FIRST.v4, 'ECONNREFUSED', ROUTER4]);
}

async function startDocker(): Promise<ForeignTool> {
  buildBridge();
  // Docker's own rules translate addresses.
  inDevice('nft', 'delete', 'table', 'inet', 'runtime');
  web.start();
  await web.serve(CONTAINER_PORT);
  const published = { host: PUBLISHED, container: CONTAINER_PORT };
  return docker({ bridge: 'br0', network: '172.31.0.0/24', container: web.v4, published, closed: OUT });
}

describe.each([
  ['ufw', async () => ufw({ out: OUT, open: OPEN }), hostFirewallHolds, []],
  ['Docker', startDocker, dockerHolds, []],
  // It flushes iptables' tables when it starts: our queue is there, on kernels where nft has none.
  ['firewalld', () => firewalld({ out: OUT, open: OPEN }), hostFirewallHolds, ['foreign-change']],
])('beside %s, the daemon', (_name, make, theirsHolds, repaired) => {
  let tool: ForeignTool;
  /** What it makes when nobody else is there. */
  let alone: string;

  beforeAll(async () => {
    tool = await make();
  });

  afterAll(async () => {
    await tool?.[Symbol.asyncDispose]();
  });

  it('holds when it is started after us, and when it starts anew', async () => {
    await tool.start();
    await oursHolds();
    await theirsHolds();
    await tool.restart();
    await oursHolds();
    await theirsHolds();
    const { warnings } = await daemon.status();
    expect(warnings.map(({ code }) => code).filter((code) => !repaired.includes(code))).toEqual([]);
  });

  it('leaves behind what it makes alone', async () => {
    await daemon.signal('SIGTERM');
    const left = foreignState();
    await tool.restart();
    alone = foreignState();
    expect(left).toBe(alone);
  });

  it('holds when we are started after it, with all that is its own in place', async () => {
    daemon = await machine.startDaemon();
    await oursHolds();
    await theirsHolds();
    expect(linesMissing(alone, foreignState())).toEqual([]);
    await daemon.signal('SIGTERM');
    expect(foreignState()).toBe(alone);
    daemon = await machine.startDaemon();
    await tool.stop();
  });
});
