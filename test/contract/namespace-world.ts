import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { LinuxKernel } from '../../src/kernel/linux-kernel.ts';
import { enterNetworkNamespace } from '../../src/kernel/network-namespace.ts';
import type { ContractWorld, ProgramSocket, ProgramSocketKind } from './contract-world.ts';
import { address } from './routing-contract.ts';
import { SocketHolder } from './socket-holder.ts';

const DEVICE_NAME = 'pm0';
const SETUP: readonly string[] = [
  'link set lo up',
  // Not every kernel has dummy devices.
  `link add ${DEVICE_NAME} type veth peer name pm1`,
  // Link-local addresses would bring routes of their own, a second or two later.
  `link set ${DEVICE_NAME} addrgenmode none up`,
  'link set pm1 addrgenmode none up',
  `addr add 192.0.2.2/24 dev ${DEVICE_NAME}`,
  `addr add 2001:db8::2/64 dev ${DEVICE_NAME} nodad`,
];

export interface NamespaceWorld extends ContractWorld {
  readonly kernel: LinuxKernel;
  readonly namespace: string;
}

/** A network namespace of its own with one device; this thread is in it until `close`. */
export async function openNamespaceWorld(): Promise<NamespaceWorld> {
  const namespace = `pmt-${process.pid}-${Math.floor(performance.now() * 1000)}`;
  execFileSync('ip', ['netns', 'add', namespace]);
  let inside: Disposable | undefined;
  let kernel: LinuxKernel | undefined;
  let neighbour: ChildProcess | undefined;
  const holders: SocketHolder[] = [];
  const close = async (): Promise<void> => {
    neighbour?.kill('SIGKILL');
    for (const holder of holders) holder.end();
    kernel?.[Symbol.dispose]();
    inside?.[Symbol.dispose]();
    execFileSync('ip', ['netns', 'del', namespace]);
  };
  try {
    for (const command of SETUP) execFileSync('ip', ['-n', namespace, ...command.split(' ')]);
    inside = enterNetworkNamespace(`/run/netns/${namespace}`);
    kernel = LinuxKernel.open();
    const deviceIndex = kernel.routing.links().find(({ name }) => name === DEVICE_NAME)?.index ?? 0;
    const device = { deviceName: DEVICE_NAME, deviceIndex, v4: address('192.0.2.2'), v6: address('2001:db8::2') };
    const addNeighbour = async () => {
      neighbour = spawn('unshare', ['--net', 'sh', '-c', 'echo here; exec sleep 60'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const { pid, stdout } = neighbour;
      if (pid === undefined || stdout === null) throw new Error('no neighbour');
      await once(stdout, 'data');
      const pair = ['link', 'add', 'pm2', 'type', 'veth', 'peer', 'name', 'pm3', 'netns', `${pid}`];
      execFileSync('ip', ['-n', namespace, ...pair]);
      return { pid, deviceName: 'pm2' };
    };
    const addGateway = async () => {
      const { pid, deviceName } = await addNeighbour();
      const hardwareAddress = '00:00:5e:00:53:01';
      const there = ['--net', `--target=${pid}`, '--', 'ip'];
      execFileSync('nsenter', [...there, 'link', 'set', 'pm3', 'address', hardwareAddress, 'up']);
      execFileSync('nsenter', [...there, 'addr', 'add', '198.51.100.1/24', 'dev', 'pm3']);
      execFileSync('ip', ['-n', namespace, 'addr', 'add', '198.51.100.2/24', 'dev', deviceName]);
      execFileSync('ip', ['-n', namespace, 'link', 'set', deviceName, 'up']);
      const linkIndex = kernel?.routing.links().find(({ name }) => name === deviceName)?.index ?? 0;
      return { key: { linkIndex, address: address('198.51.100.1') }, hardwareAddress };
    };
    const openSocket = async (kind: ProgramSocketKind): Promise<ProgramSocket> => {
      const holder = await SocketHolder.start(kind);
      holders.push(holder);
      return holder;
    };
    return { kernel, namespace, ...device, sendMarked, addNeighbour, addGateway, openSocket, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The table keeps its name, so that a second call replaces it: each packet's entry has the mark of its own time. */
async function sendMarked(mark: number): Promise<void> {
  const rules = `type filter hook output priority 0; ct mark set 0x${mark.toString(16)}`;
  const batch = `add table ip marking\ndelete table ip marking\ntable ip marking { chain output { ${rules}\n }\n}\n`;
  execFileSync('nft', ['-f', '-'], { input: batch });
  const socket = createSocket('udp4');
  socket.send('x', 9, '192.0.2.9');
  await once(socket, 'listening');
  await new Promise((resolve) => socket.close(() => resolve(undefined)));
}
