/**
 * Uplinks that are up and do not work, by real packets: loss at the far end has one fail, and its end has it recover, without a flap
 * between; who is asked how often is what the far end counts.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { UplinkStatus } from '../../src/api/status.ts';
import { inNamespace } from '../../src/lab/namespace-command.ts';
import type { FamilyHealth } from '../../src/policy/facts.ts';
import { METERED_PROBE_LIMITS } from '../../src/watch/probe-budget.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device, UPLINKS } from './support/device.ts';
import { Probe } from './support/probe.ts';
import { loseWifi, restoreWifi } from './support/wifi-link.ts';

const HOST = '203.0.113.10';
const HOST6 = '2001:db8:113::10';
const ECHO_PORT = 7;
const PORTAL_PORT = 8000;
/** Loss is a matter of luck, and the budget makes recovery slow. */
const PATIENCE_MS = 90_000;
const POLL_MS = 50;

const WIFI = ['pointsman: 1', 'uplink: wifi', 'device: wifi0', 'priority: 10', 'type: wifi'];
const CELLULAR = ['pointsman: 1', 'uplink: cellular', 'device: cell0', 'priority: 20', 'type: cellular'];

/** Says on every connection that another page is to be looked at. */
const PORTAL = `
import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", ${PORTAL_PORT})); s.listen(16)
print("ready", flush=True)
while True:
    c, _ = s.accept()
    c.recv(4096); c.sendall(b"HTTP/1.1 302 Found\\r\\nLocation: http://portal.example/\\r\\nContent-Length: 0\\r\\n\\r\\n"); c.close()
`;

let device: Device;
let daemon: Daemon | undefined;

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('uphealth');
});

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
});

const write = (name: 'wifi' | 'cellular', probe: string): void => {
  const lines = [...(name === 'wifi' ? WIFI : CELLULAR), ...(probe === '' ? [] : [probe]), ''];
  device.write(`${UPLINKS}/${name}.yaml`, lines.join('\n'));
};

async function uplink(name: string): Promise<UplinkStatus> {
  const { uplinks } = await device.status();
  const found = uplinks.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no uplink ${name}`);
  return found;
}

/** States of IPv4 of an uplink in the order in which they came, until one holds. */
async function statesUntil(name: string, holds: (health: FamilyHealth) => boolean): Promise<string[]> {
  const states: string[] = [];
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (performance.now() < deadlineMs) {
    const { health } = await uplink(name);
    const v4 = health?.v4 ?? { state: 'unknown' };
    if (states.at(-1) !== v4.state) states.push(v4.state);
    if (holds(v4)) return states;
    await delay(POLL_MS);
  }
  throw new Error(`${name} was ${states.join(', ')} and no more\n${JSON.stringify(await device.status())}`);
}

async function lose(percent: number): Promise<void> {
  const rules = `iifname "wifi" icmp type echo-request numgen random mod 100 < ${percent} drop`;
  await device.must('net', ['nft', '-f', '-'], table('loss', -200, rules));
}

async function loseNothing(): Promise<void> {
  await device.must('net', ['nft', 'delete', 'table', 'inet', 'loss']);
}

/** Of ICMP echo requests, before any are lost. */
async function count(): Promise<void> {
  const rules = ['wifi', 'cell'].flatMap((name) => [
    `iifname "${name}" icmp type echo-request counter name ${name}`,
    `iifname "${name}" icmpv6 type echo-request counter name ${name}`,
  ]);
  const text = table('counted', -300, rules.join('\n'));
  await device.must('net', ['nft', '-f', '-'], text.replace('{\n', '{\ncounter wifi {}\ncounter cell {}\n'));
}

async function counted(name: 'wifi' | 'cell'): Promise<number> {
  const text = await device.must('net', ['nft', '-j', 'list', 'counter', 'inet', 'counted', name]);
  const { nftables } = JSON.parse(text) as {
    readonly nftables: readonly { readonly counter?: { packets: number } }[];
  };
  return nftables.find(({ counter }) => counter !== undefined)?.counter?.packets ?? Number.NaN;
}

async function countNoMore(): Promise<void> {
  await device.must('net', ['nft', 'delete', 'table', 'inet', 'counted']);
}

const table = (name: string, priority: number, rules: string): string =>
  `table inet ${name} {\nchain c {\ntype filter hook prerouting priority ${priority};\n${rules}\n}\n}\n`;

beforeEach(async () => {
  await count();
  return async () => {
    await daemon?.stop();
    daemon = undefined;
    await countNoMore();
  };
});

const PROBED = `probe: { icmp: [${HOST}], interval: 1s }`;

describe('uplink health', () => {
  it('an uplink fails by loss and recovers without it, each once, and the other stays good', async () => {
    write('wifi', PROBED);
    write('cellular', PROBED);
    daemon = await device.startDaemon();
    expect((await statesUntil('wifi', ({ state }) => state === 'good')).at(-1)).toBe('good');
    await statesUntil('cellular', ({ state }) => state === 'good');
    expect((await uplink('wifi')).health?.v4).toMatchObject({ lossRatio: 0, validated: true });

    await lose(60);
    try {
      const falling = await statesUntil('wifi', ({ state }) => state === 'failed');
      expect(falling).toEqual(['good', 'failed']);
      const { warnings } = await device.status();
      expect(warnings.map(({ code }) => code)).toContain('uplink-failed');
      // As long as it lasts.
      const untilMs = performance.now() + 8000;
      expect(await statesUntil('wifi', () => performance.now() > untilMs)).toEqual(['failed']);
    } finally {
      await loseNothing();
    }
    expect(await statesUntil('wifi', ({ state }) => state === 'good')).toEqual(['failed', 'good']);
    expect(await statesUntil('cellular', () => true)).toEqual(['good']);
    const { warnings } = await device.status();
    expect(warnings.map(({ code }) => code)).not.toContain('uplink-failed');
  });

  it('the far end sees no more probes than the budget has, and each by its own uplink', async () => {
    write('wifi', `probe: { icmp: [${HOST}, "${HOST6}"], interval: 1s }\nmetered: true`);
    write('cellular', 'probe: off');
    daemon = await device.startDaemon();
    const startMs = performance.now();
    await statesUntil('wifi', ({ state }) => state === 'good');
    await delay(20_000);
    const seen = await counted('wifi');
    const minutes = (performance.now() - startMs) / 60_000;
    const { probesPerMinute } = METERED_PROBE_LIMITS;
    expect(seen).toBeGreaterThanOrEqual(probesPerMinute / 3);
    expect(seen).toBeLessThanOrEqual(probesPerMinute * (1 / 3 + (2 / 3) * minutes) + 1);
    expect(await counted('cell')).toBe(0);
    expect((await uplink('cellular')).health).toBeUndefined();
  });

  it('probes go by their own uplink whatever policies say, and nothing else does', async () => {
    write('wifi', PROBED);
    write('cellular', PROBED);
    const via = 'via: { require: { type: wifi }, else: block }';
    device.write('etc/pointsman/default.yaml', `pointsman: 1\notherwise: allow\n${via}\n`);
    try {
      daemon = await device.startDaemon();
      await statesUntil('cellular', ({ state }) => state === 'good');
      await statesUntil('wifi', ({ state }) => state === 'good');
      expect(await counted('cell')).toBeGreaterThan(0);
      expect(await counted('wifi')).toBeGreaterThan(0);
      await device.must('device', ['ip', 'route', 'del', 'default', 'dev', 'wifi0']);
      device.write('etc/pointsman/default.yaml', 'pointsman: 1\notherwise: deny\n');
      await device.untilStatus('wifi to be gone', ({ uplinks }) =>
        uplinks.some(({ name, v4 }) => name === 'wifi' && !v4),
      );
      const before = await counted('cell');
      await delay(4000);
      expect(await counted('cell')).toBeGreaterThan(before);
      expect(await statesUntil('cellular', () => true)).toEqual(['good']);
    } finally {
      device.remove('etc/pointsman/default.yaml');
      await restoreWifi(device, 'link set down');
    }
  });

  it('an uplink on which connections live is not asked, and is when they end', async () => {
    await using program = Probe.start(device, ['/usr/bin/python3']);
    expect(await program.openAndEcho({ id: 'busy', kind: 'tcp', host: HOST, port: ECHO_PORT })).toMatchObject({
      ok: true,
    });
    await program.stream('busy', 50);
    write('wifi', PROBED);
    write('cellular', 'probe: off');
    daemon = await device.startDaemon();
    await statesUntil('wifi', ({ state, validated }) => state === 'good' && validated === true);
    const before = await counted('wifi');
    await delay(12_000);
    expect(await counted('wifi')).toBe(before);
    expect((await uplink('wifi')).health?.v4).toMatchObject({ state: 'good', lossRatio: 0, rttMs: expect.any(Number) });
    await program.endStream('busy');
    const deadlineMs = performance.now() + PATIENCE_MS;
    while ((await counted('wifi')) === before && performance.now() < deadlineMs) await delay(POLL_MS);
    expect(await counted('wifi')).toBeGreaterThan(before);
  });

  it('a captive portal is noticed, and its end', async () => {
    write('wifi', `probe: { http: "http://${HOST}/generate_204", interval: 1s }`);
    write('cellular', `probe: { http: "http://${HOST}/generate_204", interval: 1s }`);
    daemon = await device.startDaemon();
    await statesUntil('wifi', ({ state, validated }) => state === 'good' && validated === true);
    const [file = '', ...args] = inNamespace(device.id, 'wifi', ['/usr/bin/python3', '-c', PORTAL]);
    const portal = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(portal.stdout, 'data');
      const rules = 'iifname "inside" tcp dport 80 redirect to :8000';
      const text = table('portal', -100, rules).replace('type filter', 'type nat');
      await device.must('wifi', ['nft', '-f', '-'], text);
      await statesUntil('wifi', ({ captivePortal }) => captivePortal === true);
      const { warnings } = await device.status();
      expect(warnings.filter(({ code }) => code === 'captive-portal')).toMatchObject([
        { message: expect.stringContaining('wifi') },
      ]);
      expect((await uplink('cellular')).health?.v4).toMatchObject({ state: 'good', validated: true });
      await device.must('wifi', ['nft', 'delete', 'table', 'inet', 'portal']);
      await statesUntil('wifi', ({ captivePortal }) => captivePortal === undefined);
    } finally {
      portal.kill('SIGKILL');
    }
  });

  it('without a word in the files the gateway is asked, by both families', async () => {
    write('wifi', '');
    write('cellular', '');
    daemon = await device.startDaemon();
    await device.untilStatus('both families to be good', ({ uplinks }) =>
      uplinks
        .filter(({ name }) => name === 'wifi' || name === 'cellular')
        .every(({ health }) => health?.v4?.state === 'good' && health.v6?.state === 'good'),
    );
    expect((await uplink('wifi')).health?.v4).not.toHaveProperty('validated');
    expect(await counted('wifi')).toBe(0);
    const { stdout } = await device.pointsman('status');
    expect(stdout).toMatch(
      /^wifi +wifi0 +up +IPv4 IPv6 +IPv4 link works, [\d.]+ ms; IPv6 link works, [\d.]+ ms +wifi/m,
    );
  });

  it('an uplink may vanish in the midst of a probe, and the daemon stop in the midst of another', async () => {
    write('wifi', `probe: { icmp: ["${HOST6}"], tcp: ["${HOST}:443"], interval: 1s }`);
    write('cellular', `probe: { tcp: ["${HOST}:443"], interval: 1s }`);
    const rules = `ip daddr ${HOST} tcp dport 443 counter drop\nip6 daddr ${HOST6} icmpv6 type echo-request drop`;
    await device.must('net', ['nft', '-f', '-'], table('loss', -200, rules));
    try {
      daemon = await device.startDaemon();
      await statesUntil('wifi', ({ lossRatio }) => lossRatio === 1);
      await loseWifi(device, 'device deleted');
      try {
        await device.untilUplink('wifi', false);
        expect((await uplink('wifi')).health).toBeUndefined();
      } finally {
        await restoreWifi(device, 'device deleted');
      }
      await statesUntil('cellular', ({ state }) => state === 'failed');
      const stopped = await daemon.stop();
      expect(stopped).toBe('exit code 0');
      expect(daemon.output).not.toContain('fault');
      daemon = undefined;
    } finally {
      await device.must('net', ['nft', 'delete', 'table', 'inet', 'loss']);
    }
  });
});
