/** Containers behind a bridge, the real daemon between them and two uplinks: the oracle is what they and the other end see. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBridge, Container, HOST4, serveHere, setBridgeNetfilter } from './daemon/container.ts';
import { Machine } from './daemon/machine.ts';
import {
  type DaemonProcess,
  eventually,
  FIRST,
  inDevice,
  NET,
  type Root,
  SECOND,
  SERVER4,
  SERVER6,
  setUplink,
} from './daemon/world.ts';

const web = new Container('web', 2);
/** No policy names it. */
const other = new Container('other', 3);
/** This machine's, on no link. */
const PUBLIC4 = '198.51.100.77';
const PUBLISHED_PORT = 8080;

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;

const rules = (more: string): string =>
  `rules:
  - { to: ["*:80"], do: allow, via: { require: { type: cellular }, else: block } }
  - { to: ["*:82"], do: drop }
  - { to: ["*:83"], do: allow }
${more}otherwise: deny
`;

function policy(body: string): void {
  root.write(
    'etc/pointsman/policies/web.yaml',
    `pointsman: 1\napp: web\nmatch: [{ container: ${web.id.slice(0, 12)} }]\n${body}`,
  );
}

const isGoverned = (): Promise<string> =>
  eventually(
    () => web.once('tcp', SERVER4, 81),
    (seen) => seen === 'ECONNREFUSED',
  );

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  buildBridge();
  policy(rules(''));
  other.start();
  daemon = await machine.startDaemon();
  // After the daemon: it finds out by itself.
  web.start();
  await isGoverned();
});

afterAll(async () => {
  await web.stop();
  await other.stop();
  await machine?.[Symbol.asyncDispose]();
});

describe.each([
  ['in the bridge', true],
  ['only behind the bridge', false],
])('a container whose packets pass netfilter %s', (_, isOn) => {
  beforeAll(() => setBridgeNetfilter(isOn));

  it.each(['tcp', 'udp', 'udp-unconnected'])(
    'sends a %s flow out of the uplink that its policy requires',
    async (kind) => {
      expect(await web.once(kind, SERVER4, 80)).toBe(SECOND.v4);
      expect(await web.once(kind, SERVER6, 80)).toBe(SECOND.v6);
    },
  );

  it('sends what its policy allows without a via by the system’s route', async () => {
    expect(await web.once('tcp', SERVER4, 83)).toBe(FIRST.v4);
    expect(await web.once('tcp', SERVER6, 83)).toBe(FIRST.v6);
  });

  it('is refused at once what its policy denies, and not answered what it drops', async () => {
    expect(await web.once('tcp', SERVER4, 81)).toBe('ECONNREFUSED');
    expect(await web.once('tcp', SERVER6, 81)).toBe('ECONNREFUSED');
    expect(await web.once('udp', SERVER4, 81)).toBe('EHOSTUNREACH');
    expect(await web.once('udp', SERVER6, 81)).toBe('EACCES');
    expect(await web.once('tcp', SERVER4, 82)).toBe('timeout');
    expect(web.pings(SERVER4)).toBe(false);
  });

  it('is held to its policy towards this machine, too', () => {
    expect(web.pings(HOST4)).toBe(false);
    expect(other.pings(HOST4)).toBe(true);
  });

  it('that no policy names is left alone', async () => {
    for (const port of [80, 81, 82]) {
      expect(await other.once('tcp', SERVER4, port)).toBe(FIRST.v4);
      expect(await other.once('udp', SERVER6, port)).toBe(FIRST.v6);
    }
    expect(other.pings(SERVER4)).toBe(true);
  });

  it('goes on with one flow without asking anybody', async () => {
    const held = await web.hold('udp', SERVER4, 80);
    expect(held.first).toBe(SECOND.v4);
    const before = (await daemon.status()).verdicts.queued;
    for (let i = 0; i < 20; i += 1) expect(await held.again()).toBe(SECOND.v4);
    expect((await daemon.status()).verdicts.queued).toBe(before);
  });
});

describe('a container', () => {
  it('answers who connects to it, whatever its policy says of what it sends', async () => {
    await web.serve(PUBLISHED_PORT);
    for (const line of [
      'add chain inet runtime pre { type nat hook prerouting priority -100; }',
      `add rule inet runtime pre iifname "u1" tcp dport ${PUBLISHED_PORT} dnat ip to ${web.v4}`,
    ])
      inDevice('nft', line);
    const client = join(import.meta.dirname, 'daemon/client.py');
    const seen = execFileSync(
      'nsenter',
      [`--net=/run/netns/${NET}`, '/usr/bin/python3', client, 'tcp', FIRST.v4, `${PUBLISHED_PORT}`],
      { encoding: 'utf8' },
    );
    expect(seen.trim()).toBe('10.9.1.1');
  });

  it('reaches this machine by an address that its uplink leads to, and is answered on the way that it came', async () => {
    inDevice('ip', 'addr', 'add', `${PUBLIC4}/32`, 'dev', 'lo');
    const own = await serveHere(80);
    expect(await web.once('tcp', PUBLIC4, 80)).toBe(web.v4);
    own.kill('SIGKILL');
  });

  it('waits for a name while it is asked for, where the kernel can ask about what passes through', async () => {
    const canAsk = inDevice('nft', 'list', 'chain', 'inet', 'pointsman', 'ask').includes('queue');
    policy(rules('  - { to: ["nowhere.example:84"], do: deny }\n  - { to: ["*:84"], do: allow }\n'));
    await daemon.reload();
    const before = (await daemon.status()).verdicts.queued;
    const held = await web.hold('udp', SERVER4, 84);
    // Longer than a flow is held for a name.
    const seen = [held.first, await held.again(), await held.again()];
    expect(seen.includes(FIRST.v4)).toBe(canAsk);
    expect((await daemon.status()).verdicts.queued > before).toBe(canAsk);
    policy(rules(''));
    await daemon.reload();
  });

  it('is refused when the uplink that its policy requires is down, and takes no other', async () => {
    setUplink('2', 'down');
    await eventually(
      () => web.once('tcp', SERVER4, 80),
      (seen) => seen === 'ENETUNREACH',
    );
    expect(await web.once('udp', SERVER4, 80)).toBe('EHOSTUNREACH');
    setUplink('2', 'up');
    await eventually(
      () => web.once('tcp', SERVER4, 80),
      (seen) => seen === SECOND.v4,
    );
  });

  it('loses a flow that a new policy forbids', async () => {
    const held = await web.hold('tcp', SERVER4, 83);
    const kept = await web.hold('tcp', SERVER4, 80);
    expect([held.first, kept.first]).toEqual([FIRST.v4, SECOND.v4]);
    policy(rules('').replace('"*:83"', '"*:84"'));
    await daemon.reload();
    expect(await held.again()).not.toBe(FIRST.v4);
    expect(await kept.again()).toBe(SECOND.v4);
    policy(rules(''));
    await daemon.reload();
  });

  it('is told again when its device is made anew under the same name', async () => {
    web.disconnect();
    web.connect();
    await isGoverned();
    expect(await web.once('tcp', SERVER4, 80)).toBe(SECOND.v4);
  });

  it('is left alone when no policy names it any more', async () => {
    root.write(
      'etc/pointsman/policies/web.yaml',
      'pointsman: 1\napp: web\nmatch: [{ container: nobody }]\notherwise: deny\n',
    );
    await daemon.reload();
    expect(await web.once('tcp', SERVER4, 81)).toBe(FIRST.v4);
    expect(inDevice('nft', 'list', 'table', 'inet', 'pointsman')).not.toContain('ingress');
  });
});
