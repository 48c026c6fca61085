/**
 * What anybody may send to the relay of queries, and what its resolvers may answer: the daemon goes on, and the next good query
 * is answered.
 */

import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Status } from '../../src/api/status.ts';
import { dnsFrame } from '../../src/daemon/dns-stream.ts';
import { labFiles } from '../../src/lab/lab-state.ts';
import { inNamespace } from '../../src/lab/namespace-command.ts';
import { LAB_UPLINKS, type LabUplink } from '../../src/lab/world.ts';
import {
  CLASS_IN,
  decodeDnsMessage,
  encodeDnsMessage,
  RCODE_FORMERR,
  RCODE_NOERROR,
  TYPE_A,
} from '../../src/net/dns-message.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { NameServer } from './support/name-server.ts';
import { QuerySender } from './support/query-sender.ts';
import { until } from './support/until.ts';

const uplink = (name: string): LabUplink => {
  const found = LAB_UPLINKS.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`the lab has no ${name}`);
  return found;
};
const RESOLVER = uplink('wifi').access.v4.far;
const SEED = Number(process.env.POINTSMAN_DNS_SEED ?? 20_261_130);
const BATCHES = 10;
const BATCH_SIZE = 40;

let device: Device;
let python: string;
let server: NameServer;
let daemon: Daemon;
let sender: QuerySender;

const query = (name: string, id = 7): Uint8Array =>
  encodeDnsMessage({
    id,
    isResponse: false,
    opcode: 0,
    isAuthoritative: false,
    isTruncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    rcode: 0,
    questions: [{ name, type: TYPE_A, class: CLASS_IN }],
  });

/** 1,799 bytes of 256 questions, of which all but the first name lead to the first. */
function manyQuestions(): Uint8Array {
  const label = `3f${'61'.repeat(63)}`;
  const head = `0001 0100 0100 0000 0000 0000 ${label.repeat(3)}3b${'61'.repeat(59)}00 0001 0001`;
  const first = Buffer.from(head.replaceAll(' ', ''), 'hex');
  return Buffer.concat([first, Buffer.from('c00c00010001'.repeat(255), 'hex')]);
}

async function start(): Promise<void> {
  device.writePolicy(
    'org.example.Sender',
    `exec: ${python}`,
    'rules:\n  - { to: [named.example.org], do: allow }\notherwise: allow',
  );
  daemon = await device.startDaemon();
  sender = QuerySender.start(device, [python], { host: RESOLVER, port: 53 });
}

async function expectToBeAnswered(name: string): Promise<void> {
  const { ok, answer } = await sender.askDatagram(query(name, 99));
  expect({ ok, daemon: daemon.ending }).toEqual({ ok: true, daemon: undefined });
  const { rcode, id, answers } = decodeDnsMessage(Buffer.from(String(answer), 'hex'));
  expect({ id, rcode, answers: answers.length }).toEqual({ id: 99, rcode: RCODE_NOERROR, answers: 1 });
}

async function expectNoFault(): Promise<void> {
  const { warnings } = await device.status();
  expect(warnings.filter(({ code }) => code === 'internal-error')).toEqual([]);
}

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('dnsh');
  python = device.copyOfPython('sender');
  server = await NameServer.start((command) => inNamespace(device.id, 'wifi', command), [RESOLVER]);
  writeFileSync(labFiles(device.stateDir).resolvConf, `nameserver ${RESOLVER}\noptions timeout:5 attempts:1\n`);
  await start();
});

afterAll(async () => {
  await sender?.[Symbol.asyncDispose]();
  await daemon?.stop();
  await server?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
});

afterEach(expectNoFault);

describe('the relay of queries', () => {
  it('refuses a datagram of 256 questions, and goes on', async () => {
    const many = manyQuestions();
    expect(many).toHaveLength(1799);
    const { ok, answer } = await sender.askDatagram(many);
    expect({ ok, daemon: daemon.ending }).toEqual({ ok: true, daemon: undefined });
    expect(decodeDnsMessage(Buffer.from(String(answer), 'hex'))).toMatchObject({ rcode: RCODE_FORMERR, questions: [] });
    await expectToBeAnswered('after-many.example.org');
  });

  /** A good query, with some of its bytes changed, and what is cut off or added. */
  const plain = query('some.example.org');
  const change = fc.record({
    at: fc.nat(plain.length - 1),
    to: fc.oneof(fc.constantFrom(0, 1, 0xc0, 0xff), fc.nat(255)),
  });
  const hostile = fc
    .tuple(fc.array(change, { maxLength: 6 }), fc.nat(plain.length), fc.uint8Array({ maxLength: 500 }), fc.boolean())
    .map(([changes, end, tail, isWhole]) => {
      const bytes = Buffer.concat([plain.subarray(0, isWhole ? plain.length : end), tail]);
      for (const { at, to } of changes) if (at < bytes.length) bytes[at] = to;
      return bytes;
    });
  const batch = fc.array(fc.oneof(hostile, fc.uint8Array({ maxLength: 1400 })), {
    minLength: BATCH_SIZE,
    maxLength: BATCH_SIZE,
  });

  it('answers the next good query, whatever datagrams came before', async () => {
    for (const [i, datagrams] of fc.sample(batch, { seed: SEED, numRuns: BATCHES }).entries()) {
      await sender.sendDatagrams(datagrams);
      await expectToBeAnswered(`after-datagrams-${i}.example.org`);
    }
  });

  it('answers the next good query, whatever came by TCP before', async () => {
    for (const [i, messages] of fc.sample(batch, { seed: SEED, numRuns: BATCHES }).entries()) {
      const framed = messages.slice(0, 10).map((message, k) => (k % 2 === 0 ? dnsFrame(message) : message));
      await sender.sendStreams(framed);
      const { answers } = await sender.sendStreams([dnsFrame(query(`after-streams-${i}.example.org`, 99))]);
      const [answer = ''] = answers as string[];
      expect(decodeDnsMessage(Buffer.from(answer, 'hex').subarray(2))).toMatchObject({ id: 99, rcode: RCODE_NOERROR });
    }
  });

  it('answers the next good query, whatever its resolvers have answered before', async () => {
    for (let i = 0; i < BATCHES; i += 1) {
      const names = Array.from({ length: 20 }, (_, k) => `broken.${SEED + 20 * i + k}.example.org`);
      await sender.sendDatagrams(names.map((name) => query(name)));
      await expectToBeAnswered(`after-broken-${i}.example.org`);
    }
    expect(server.asked('broken.').length).toBeGreaterThanOrEqual(20 * BATCHES);
  });
});

describe('what users share at the relay', () => {
  const OTHER = 4242;
  const as = (uid: number, program: string): readonly string[] => [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${uid}`,
    '--clear-groups',
    program,
  ];
  const startAs = (uid: number, program: string, host = RESOLVER, port = 53): QuerySender =>
    QuerySender.start(device, as(uid, program), { host, port });
  const policyFor = (app: string, match: string): void =>
    device.writePolicy(app, match, 'rules:\n  - { to: [named.example.org], do: allow }\notherwise: allow');
  const askByTcp = async (name: string): Promise<void> => {
    const { answers } = await sender.sendStreams([dnsFrame(query(name, 99))]);
    const [answer = ''] = answers as string[];
    expect(decodeDnsMessage(Buffer.from(answer, 'hex').subarray(2))).toMatchObject({ id: 99, rcode: RCODE_NOERROR });
  };

  it('is not taken by who connects to its port itself: such connections end at once', async () => {
    await using nobody = startAs(65_534, device.copyOfPython('nobody'), '127.0.0.1', 977);
    await nobody.holdConnections(300);
    await askByTcp('after-direct.example.org');
    await until('the connections to end', async () => (await nobody.openConnections()).alive === 0);
    const { warnings } = await device.status();
    expect(warnings.map(({ code }) => code)).not.toContain('dns-share-full');
  });

  it('leaves connections to others, whoever holds his share of them, and ends idle ones', async () => {
    policyFor('org.example.User', `user: ${OTHER}`);
    expect((await device.pointsman('reload')).exitCode).toBe(0);
    await using other = startAs(OTHER, device.copyOfPython('other'));
    await other.holdConnections(300);
    await askByTcp('after-connections.example.org');
    expect(Number((await other.openConnections()).alive)).toBeLessThanOrEqual(64);
    const { warnings } = await device.status();
    expect(warnings.find(({ code }) => code === 'dns-share-full')?.message).toContain(`uid ${OTHER} (connections)`);
    await until('idle connections to end', async () => (await other.openConnections()).alive === 0);
  });

  it('leaves room for the queries of others, by however many programs a user asks', async () => {
    const programs = Array.from({ length: 5 }, (_, i) => device.copyOfPython(`many${i}`));
    for (const [i, program] of programs.entries()) policyFor(`org.example.Many${i}`, `exec: ${program}`);
    expect((await device.pointsman('reload')).exitCode).toBe(0);
    const senders = programs.map((program) => startAs(OTHER, program));
    try {
      const names = (i: number): Uint8Array[] =>
        Array.from({ length: 250 }, (_, k) => query(`mute.${i}.${k}.example.org`));
      await Promise.all(senders.map((one, i) => one.holdQueries(names(i))));
      await expectToBeAnswered('after-queries.example.org');
      const { warnings } = await device.status();
      expect(warnings.find(({ code }) => code === 'dns-share-full')?.message).toContain(
        `uid ${OTHER} (queries under way)`,
      );
    } finally {
      for (const one of senders) await one[Symbol.asyncDispose]();
    }
  });
});

describe('a user who asks without end', () => {
  it('is dropped in the kernel for a while, and others are answered', async () => {
    const program = device.copyOfPython('flood');
    device.writePolicy(
      'org.example.Flood',
      `exec: ${program}`,
      'rules:\n  - { to: [named.example.org], do: allow }\notherwise: allow',
    );
    expect((await device.pointsman('reload')).exitCode).toBe(0);
    const command = ['setpriv', '--reuid=4243', '--regid=4243', '--clear-groups', program];
    await using flood = QuerySender.start(device, command, { host: RESOLVER, port: 53 });
    await flood.flood(query('mute.example.org'));
    const noisy = (): Promise<string> =>
      device.must('device', ['nft', 'list', 'set', 'inet', 'pointsman', 'noisy_users']);
    await until('the user to be dropped', async () => (await noisy()).includes('4243'));
    await until('others to be answered', async () => {
      const { ok, answer } = await sender.askDatagram(query('beside-a-flood.example.org', 99), 10);
      return ok && decodeDnsMessage(Buffer.from(String(answer), 'hex')).rcode === RCODE_NOERROR;
    });
    expect(daemon.ending).toBeUndefined();
  });
});

describe('a port that anybody may listen on', () => {
  it('is told of, for as long as it is one', async () => {
    const warns = (status: Status): boolean => status.warnings.some(({ code }) => code === 'dns-port-unprivileged');
    expect(warns(await device.status())).toBe(false);
    await device.must('device', ['sysctl', '-q', '-w', 'net.ipv4.ip_unprivileged_port_start=977']);
    expect((await device.pointsman('reload')).exitCode).toBe(0);
    await device.untilStatus('the warning', warns);
    await device.must('device', ['sysctl', '-q', '-w', 'net.ipv4.ip_unprivileged_port_start=978']);
    expect((await device.pointsman('reload')).exitCode).toBe(0);
    await device.untilStatus('the end of the warning', (status) => !warns(status));
  });
});
