import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import type { Encodable } from '../dbus/encode-value.ts';
import {
  decodeMessage,
  ERROR,
  encodeMessage,
  METHOD_RETURN,
  type Message,
  messageLength,
  NO_AUTO_START,
  SIGNAL,
} from '../dbus/message.ts';
import { ManagedDevices } from './managed-devices.ts';

const NM = 'org.freedesktop.NetworkManager';
const MM = 'org.freedesktop.ModemManager1';
const text = (variant: string): Encodable => ({ signature: 's', variant });
const number = (variant: number): Encodable => ({ signature: 'u', variant });

/** A peer that speaks as the bus does, with NetworkManager and ModemManager on it as their references describe them. */
class Bus {
  readonly server: Server;
  readonly flags: number[] = [];
  metered = 1;
  hasModem = true;
  /** What is sent in the place of the answer to Hello. */
  garbage: Uint8Array | undefined;
  #client: Socket | undefined;

  constructor(path: string) {
    this.server = createServer((socket) => {
      this.#client = socket;
      let received = Buffer.alloc(0);
      let isMessage = false;
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        const line = isMessage ? -1 : received.indexOf('\r\n');
        if (line >= 0) {
          isMessage = received.toString('latin1', 0, line).endsWith('BEGIN');
          if (!isMessage) socket.write('OK 0123456789abcdef0123456789abcdef\r\n');
          received = received.subarray(line + 2);
          // Both may have come at once.
          const begin = isMessage ? -1 : received.indexOf('BEGIN\r\n');
          if (begin === 0) {
            isMessage = true;
            received = received.subarray(7);
          }
        }
        for (
          let length = this.#next(isMessage, received);
          length !== undefined;
          length = this.#next(isMessage, received)
        ) {
          this.#answer(decodeMessage(received.subarray(0, length)));
          received = received.subarray(length);
        }
      });
    }).listen(path);
  }

  /** Of `NM.Device`: something has changed. */
  signal(): void {
    const header = { type: SIGNAL, flags: 0, serial: 99, path: '/d', interface: 'org.freedesktop.DBus.Properties' };
    this.#client?.write(encodeMessage({ ...header, member: 'PropertiesChanged', sender: ':1.0' }));
  }

  hangUp(): void {
    this.#client?.destroy();
  }

  #next(isMessage: boolean, received: Buffer): number | undefined {
    const length = isMessage ? messageLength(received) : undefined;
    return length !== undefined && received.length >= length ? length : undefined;
  }

  #answer({ serial, member, destination, body, flags }: Message): void {
    this.flags.push(flags);
    if (member === 'Hello' && this.garbage !== undefined) {
      this.#client?.write(this.garbage);
      return;
    }
    const reply = { type: METHOD_RETURN, flags: 0, serial: 1, replySerial: serial };
    const send = (signature: string, values: readonly Encodable[]): void => {
      this.#client?.write(encodeMessage(reply, signature, values));
    };
    if (member === 'GetConnectionUnixProcessID' && body[0] === MM && !this.hasModem)
      this.#client?.write(
        encodeMessage({ ...reply, type: ERROR, errorName: 'org.freedesktop.DBus.Error.NameHasNoOwner' }),
      );
    else if (member === 'GetConnectionUnixProcessID') send('u', [body[0] === NM ? 10 : 11]);
    else if (member === 'GetManagedObjects')
      send('a{oa{sa{sv}}}', [destination === NM ? this.#devices() : this.#modems()]);
    else send('', []);
  }

  #devices(): Encodable {
    const device = new Map([
      ['Interface', text('wwan0')],
      ['DeviceType', number(8)],
      ['Metered', number(this.metered)],
    ]);
    return new Map([['/d', new Map([[`${NM}.Device`, device]])]]);
  }

  #modems(): Encodable {
    const modem = new Map([['Ports', { signature: 'a(su)', variant: [['wwan0', 2]] } satisfies Encodable]]);
    const network = new Map([['RegistrationState', number(5)]]);
    return new Map([
      [
        '/m',
        new Map([
          [`${MM}.Modem`, modem],
          [`${MM}.Modem.Modem3gpp`, network],
        ]),
      ],
    ]);
  }
}

let directory: string;
let socketPath: string;
let bus: Bus;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'managed-devices-'));
  socketPath = join(directory, 'bus');
  bus = new Bus(socketPath);
});

afterEach(async () => {
  bus.hangUp();
  await new Promise((resolve) => bus.server.close(resolve));
  rmSync(directory, { recursive: true, force: true });
});

async function started(isOurs: (pid: number) => boolean = () => true) {
  let changes = 0;
  let next: (() => void) | undefined;
  const devices = new ManagedDevices({
    background: testBackground,
    socketPath,
    isOurs,
    onChange: () => {
      changes += 1;
      next?.();
    },
  });
  await devices.start();
  const changed = (): Promise<void> =>
    new Promise((resolve) => {
      next = resolve;
    });
  return { devices, changed, count: () => changes, [Symbol.dispose]: () => devices[Symbol.dispose]() };
}

describe('ManagedDevices', () => {
  it('ManagedDevices believes ModemManager before NetworkManager, and has nobody started', async () => {
    using managed = await started();
    expect(managed.devices.tellings().get('wwan0')).toEqual([
      { by: 'ModemManager', told: { type: 'cellular', roaming: true } },
      { by: 'NetworkManager', told: { type: 'cellular', metered: true }, guesses: [] },
    ]);
    expect(managed.count()).toBe(1);
    expect(bus.flags.every((flags) => flags === NO_AUTO_START)).toBe(true);
  });

  it('ManagedDevices reads again after a signal, and tells of what is otherwise', async () => {
    using managed = await started();
    bus.metered = 4;
    const changed = managed.changed();
    bus.signal();
    await changed;
    expect(managed.devices.tellings().get('wwan0')?.[1]).toMatchObject({
      told: { metered: false },
      guesses: ['metered'],
    });
  });

  it('ManagedDevices forgets what was said when the bus goes', async () => {
    using managed = await started();
    const changed = managed.changed();
    bus.hangUp();
    await changed;
    expect(managed.devices.tellings().size).toBe(0);
  });

  it('ManagedDevices does without one of the two', async () => {
    bus.hasModem = false;
    using managed = await started();
    expect(managed.devices.tellings().get('wwan0')).toMatchObject([{ by: 'NetworkManager' }]);
  });

  it('ManagedDevices does not believe who manages another network', async () => {
    using managed = await started((pid) => pid === 11);
    expect(managed.devices.tellings().get('wwan0')).toMatchObject([{ by: 'ModemManager' }]);
  });

  it('ManagedDevices is quiet where there is no bus', async () => {
    socketPath = join(directory, 'none');
    using managed = await started();
    expect([managed.devices.tellings().size, managed.count()]).toEqual([0, 0]);
    expect(managed.devices.device('wwan0')).toBeUndefined();
  });

  it('ManagedDevices is quiet where something else listens there', async () => {
    bus.garbage = new Uint8Array(64).fill(0x41);
    using managed = await started();
    expect([managed.devices.tellings().size, managed.count()]).toEqual([0, 0]);
  });
});
