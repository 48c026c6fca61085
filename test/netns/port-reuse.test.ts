/**
 * A port that comes back: conntrack still has the connection of before, since it has not noticed how that ended. Whoever begins
 * another one with the same addresses and ports is judged by the own policy, from the first packet on.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INTERNET_HOSTS } from '../../src/lab/world.ts';
import { buildProgram } from './support/build-program.ts';
import type { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { Witness } from './support/witness.ts';

const ECHO_PORT = 7;
const OWN_PORT = 45_001;
const [SERVER] = INTERNET_HOSTS;
if (SERVER === undefined) throw new Error('the lab has no host');
/** TCP_REPAIR (linux/tcp.h): a socket that is closed in this state goes without a word. */
const CONNECT = `
import errno, socket, sys
host, port, own, vanish = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "vanish"
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", own))
s.settimeout(8)
try:
    s.connect((host, port))
    print("connected")
except TimeoutError:
    print("timeout")
except OSError as error:
    print(errno.errorcode[error.errno])
if vanish:
    s.setsockopt(socket.IPPROTO_TCP, 19, 1)
s.close()
`;

let device: Device;
let daemon: Daemon;
let allowed: string;
const refused: string[] = [];

beforeAll(async () => {
  await buildProgram();
  device = await Device.build('reuse');
  allowed = device.copyOfPython('allowed');
  device.writePolicy('org.example.Allowed', `exec: ${allowed}`, 'otherwise: allow\nvia: { require: { type: wifi } }');
  const byExecutable = device.copyOfPython('refused');
  device.writePolicy('org.example.Refused', `exec: ${byExecutable}`, 'otherwise: deny');
  refused.push(byExecutable);
  daemon = await device.startDaemon();
  await device.untilUplink('wifi', true);
});

afterAll(async () => {
  await daemon?.stop();
  await device?.[Symbol.asyncDispose]();
});

describe('a port that comes back', () => {
  it.each([
    ['IPv4', SERVER.v4, OWN_PORT],
    ['IPv6', SERVER.v6, OWN_PORT + 1],
  ] as const)('has no permission of whoever had it before (%s)', async (_, host, own) => {
    const connect = async (python: string, how: 'vanish' | 'close'): Promise<string> => {
      const words = [python, '-c', CONNECT, host, `${ECHO_PORT}`, `${own}`, how];
      return (await device.run(words)).stdout.trim();
    };
    expect(await connect(allowed, 'vanish')).toBe('connected');
    const entries = await device.must('device', ['conntrack', '-L', '-p', 'tcp', '--sport', `${own}`]);
    expect(entries).toContain('ESTABLISHED');
    await using wifi = await Witness.start(device, { part: 'wifi', hosts: [SERVER] });
    expect(await connect(refused[0] ?? '', 'close')).toBe('ECONNREFUSED');
    expect(await wifi.counted()).toBe(0);
  });
});
