/**
 * One end of the lab's VPN: IP packets of a tun device, sealed, in UDP over IPv4. Kernels without WireGuard can do it too.
 * `node tunnel.js near KEYFILE DEVICE UNDERLAY` beside the device, `node tunnel.js far KEYFILE DEVICE` in the VPN's server;
 * writes "ready" on stdout when the tunnel stands. The near end asks for signs of life and gives its device a carrier only
 * while there are some, so that a tunnel without a way is a link that is down.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { read, readFileSync, writeSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { openDatagramSocket } from '../kernel/datagram-socket.ts';
import { TunDevice } from '../kernel/tun-device.ts';
import { TunnelHealth } from './tunnel-health.ts';
import { tunnelSeal, tunnelUnseal } from './tunnel-seal.ts';
import { VPN_SERVER } from './world.ts';

/** What wg-quick marks its own packets with, too: Pointsman lets them pass, so that no policy sends a tunnel into itself. */
const UNDERLAY_MARK = 0xca6c;
const BEAT_EVERY_MS = 150;
const MAX_PACKET_BYTES = 65_535;
/** First byte of what is no IP packet, whose first four bits are 4 or 6. */
const BEAT = 0;

type Send = (packet: Uint8Array) => void;

function main([end, keyPath = '', device = '', underlay = '']: readonly string[]): void {
  if (end === 'far' && device !== '') runFar(readFileSync(keyPath), device);
  else if (end === 'near' && underlay !== '') runNear(readFileSync(keyPath), device, underlay);
  else throw new Error('usage: tunnel.js near KEYFILE DEVICE UNDERLAY | far KEYFILE DEVICE');
}

/** Answers to wherever the near end was last heard from. */
function runFar(key: Uint8Array, device: string): void {
  const tun = TunDevice.open(device);
  const [seal, unseal] = [tunnelSeal(key, 'far'), tunnelUnseal(key, 'near')];
  const socket = createSocket('udp4');
  let peer: RemoteInfo | undefined;
  const send: Send = (plain) => {
    if (peer !== undefined) socket.send(seal(plain), peer.port, peer.address, ignoreRefusal);
  };
  socket.on('message', (datagram, from) => {
    const plain = unseal(datagram);
    if (plain === undefined) return;
    peer = from;
    if (plain[0] === BEAT) send(Uint8Array.of(BEAT, hasCarrier(device) ? 1 : 0));
    else deliver(tun, plain);
  });
  pump(tun, send);
  listen(socket, { port: VPN_SERVER.port, address: VPN_SERVER.v4 }, sayReady);
}

function runNear(key: Uint8Array, device: string, underlay: string): void {
  const tun = TunDevice.open(device);
  tun.setCarrier(false);
  const [seal, unseal] = [tunnelSeal(key, 'near'), tunnelUnseal(key, 'far')];
  const health = new TunnelHealth();
  let said = false;
  const follow = (): void => {
    const change = health.change(performance.now(), hasCarrier(underlay));
    if (change === undefined) return;
    tun.setCarrier(change);
    if (change && !said) sayReady();
    said ||= change;
  };
  const socket = createSocket('udp4');
  const send: Send = (plain) => socket.send(seal(plain), VPN_SERVER.port, VPN_SERVER.v4, ignoreRefusal);
  socket.on('message', (datagram) => {
    const plain = unseal(datagram);
    if (plain === undefined) return;
    if (plain[0] !== BEAT) {
      deliver(tun, plain);
      return;
    }
    health.heard(performance.now(), plain[1] === 1);
    follow();
  });
  pump(tun, send);
  listen(socket, { fd: openDatagramSocket({ device: underlay, mark: UNDERLAY_MARK }) }, () => {
    const beat = (): void => {
      send(Uint8Array.of(BEAT));
      follow();
    };
    beat();
    setInterval(beat, BEAT_EVERY_MS);
  });
}

/** Up and with carrier; libuv leaves out all others. */
function hasCarrier(device: string): boolean {
  return networkInterfaces()[device] !== undefined;
}

/** A device that is down takes nothing: EIO. */
function deliver(tun: TunDevice, packet: Uint8Array): void {
  try {
    writeSync(tun.fd, packet);
  } catch (error) {
    if (!isErrno(error, 'EIO', 'EINVAL')) throw error;
  }
}

/** Each read waits in a thread of libuv's pool for the next packet. */
function pump(tun: TunDevice, send: Send): void {
  const buffer = Buffer.alloc(MAX_PACKET_BYTES);
  const next = (): void => {
    read(tun.fd, buffer, 0, buffer.length, null, (error, length) => {
      if (error !== null) throw error;
      send(buffer.subarray(0, length));
      next();
    });
  };
  next();
}

function listen(
  socket: Socket,
  where: { readonly port: number; readonly address: string } | { readonly fd: number },
  ready: () => void,
): void {
  socket.on('error', (error) => {
    throw error;
  });
  socket.bind(where, ready);
}

/** Without a way to the other end, packets are lost as on any other link; the next beat tells. */
function ignoreRefusal(): void {
  return;
}

function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

function sayReady(): void {
  process.stdout.write('ready\n');
}

main(process.argv.slice(2));
