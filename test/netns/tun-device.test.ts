import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatagramSocket } from '../../src/kernel/datagram-socket.ts';
import { enterNetworkNamespace } from '../../src/kernel/network-namespace.ts';
import { TunDevice } from '../../src/kernel/tun-device.ts';

const NAMESPACE = `tun${process.pid}`;
const MARK = 0x00010000;
const PAYLOAD_AT = 28;

const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const flags = (device: string): readonly string[] =>
  (JSON.parse(ip('-j', 'link', 'show', device)) as readonly { readonly flags: readonly string[] }[])[0]?.flags ?? [];

/** The next IPv4 packet; the kernel has news of its own for a device that comes up. */
function readIpv4({ fd }: TunDevice): Buffer {
  const buffer = Buffer.alloc(1500);
  for (;;) {
    const packet = buffer.subarray(0, readSync(fd, buffer));
    if (packet.readUInt8(0) >> 4 === 4) return packet;
  }
}

describe('tun', () => {
  let home: Disposable;

  beforeEach(() => {
    ip('netns', 'add', NAMESPACE);
    home = enterNetworkNamespace(`/run/netns/${NAMESPACE}`);
  });

  afterEach(() => {
    home[Symbol.dispose]();
    ip('netns', 'del', NAMESPACE);
  });

  it('TunDevice.open() makes a device that goes with it, and takes hold of one that stays', () => {
    const made = TunDevice.open('made0');
    ip('tuntap', 'add', 'dev', 'there0', 'mode', 'tun');
    const held = TunDevice.open('there0');
    expect(ip('-br', 'link')).toMatch(/made0[\s\S]*there0/);
    held[Symbol.dispose]();
    made[Symbol.dispose]();
    expect(ip('-br', 'link')).toMatch(/there0/);
    expect(ip('-br', 'link')).not.toMatch(/made0/);
  });

  it('TunDevice.open() says who refused what', () => {
    using _held = TunDevice.open('held0');
    expect(() => TunDevice.open('held0')).toThrow(expect.objectContaining({ operation: 'TUNSETIFF', code: 'EBUSY' }));
    expect(() => TunDevice.open('a-name-too-long0')).toThrow(RangeError);
  });

  it('TunDevice.setCarrier() decides what the link says, and its end takes the carrier away', () => {
    ip('tuntap', 'add', 'dev', 'tun0', 'mode', 'tun');
    ip('link', 'set', 'tun0', 'up');
    expect(flags('tun0')).toContain('NO-CARRIER');
    const tun = TunDevice.open('tun0');
    expect(flags('tun0')).toContain('LOWER_UP');
    tun.setCarrier(false);
    expect(flags('tun0')).toContain('NO-CARRIER');
    tun.setCarrier(true);
    expect(flags('tun0')).toContain('LOWER_UP');
    tun[Symbol.dispose]();
    expect(flags('tun0')).toContain('NO-CARRIER');
  });

  it('openDatagramSocket() makes a socket that sends by its device alone, marked, and can be handed to Node', async () => {
    const tuns = ['tun0', 'tun1'].map((name, index) => {
      const tun = TunDevice.open(name);
      ip('addr', 'add', `192.0.2.${index + 1}/24`, 'dev', name);
      ip('link', 'set', name, 'up');
      return tun;
    });
    execFileSync('nft', [
      `table inet t { chain c { type filter hook output priority 0; meta mark ${MARK} counter; }; }`,
    ]);
    const socket = createSocket('udp4');
    try {
      await new Promise<void>((resolve) =>
        socket.bind({ fd: openDatagramSocket({ device: 'tun1', mark: MARK }) }, resolve),
      );
      await new Promise((resolve) => socket.send('hello', 7, '192.0.2.9', resolve));
      const [, second] = tuns;
      if (second === undefined) throw new Error('no second device');
      const packet = readIpv4(second);
      expect(packet.subarray(PAYLOAD_AT).toString()).toBe('hello');
      expect(execFileSync('nft', ['list', 'table', 'inet', 't'], { encoding: 'utf8' })).toContain('packets 1 bytes 33');
      const answered = new Promise<string>((resolve) => socket.once('message', (text) => resolve(text.toString())));
      writeSync(second.fd, turned(packet));
      expect(await answered).toBe('hello');
    } finally {
      socket.close();
      for (const tun of tuns) tun[Symbol.dispose]();
    }
  });

  it('openDatagramSocket() says which device is missing', () => {
    const refused = expect.objectContaining({ operation: 'setsockopt', code: 'ENODEV', object: 'nowhere0' });
    expect(() => openDatagramSocket({ device: 'nowhere0', mark: MARK })).toThrow(refused);
  });
});

/** The same datagram back to its sender: addresses and ports change places, and the checksums stay true by that. */
function turned(packet: Buffer): Buffer {
  const back = Buffer.from(packet);
  packet.copy(back, 12, 16, 20);
  packet.copy(back, 16, 12, 16);
  packet.copy(back, 20, 22, 24);
  packet.copy(back, 22, 20, 22);
  return back;
}
