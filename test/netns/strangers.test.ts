/** Programs that no policy names, with the real daemon: the kernel knows them by what they are not, and nobody is let out by that. */
import { copyFileSync, mkdirSync, renameSync, symlinkSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DecisionEvent } from '../../src/api/event.ts';
import { openClient } from '../../src/cli/client.ts';
import { Machine } from './daemon/machine.ts';
import { type DaemonProcess, FIRST, HeldSocket, inDevice, once, type Root, SERVER4, SERVER6 } from './daemon/world.ts';
import { until } from './support/until.ts';

const REFUSED = 'ECONNREFUSED';
const CLIENT = join(import.meta.dirname, 'daemon/client.py');
const LAUNCH = 'import subprocess, sys; subprocess.run(sys.argv[1:])';

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;

const queued = async (): Promise<number> => (await daemon.status()).verdicts.queued;

/** Another file takes the place, in one step, as a package manager does it. */
function upgrade(app: string): void {
  const path = root.program(app);
  copyFileSync(root.program('fresh'), `${path}.new`, 1);
  renameSync(`${path}.new`, path);
}

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  root.policy('mail', 'otherwise: deny\n');
  root.program('editor.real');
  symlinkSync('editor.real', join(root.dir, 'bin/editor'));
  root.policy('editor', 'otherwise: deny\n', join(root.dir, 'bin/editor'));
  root.policy('launcher', 'children: same\notherwise: deny\n');
  daemon = await machine.startDaemon();
});

afterAll(() => machine?.[Symbol.asyncDispose]());

describe('a program that no policy names', () => {
  let before: number;
  beforeEach(async () => {
    before = await queued();
  });

  it.each([
    ['tcp', SERVER4, FIRST.v4, 80],
    ['udp', SERVER6, FIRST.v6, 7],
  ])('is not asked about, from its first %s packet on', async (kind, host, seen, port) => {
    expect(await once(root, `stranger-${kind}`, kind, host, port)).toBe(seen);
    expect(await queued()).toBe(before);
  });

  it('is asked about once where it is called as a named program', async () => {
    const namesake = 'elsewhere/mail';
    mkdirSync(dirname(root.program(namesake)), { recursive: true });
    expect(await once(root, namesake, 'tcp', SERVER4, 80)).toBe(FIRST.v4);
    const asked = await queued();
    expect(asked).toBeGreaterThan(before);
    expect(await once(root, namesake, 'tcp', SERVER4, 81)).toBe(FIRST.v4);
    expect(await queued()).toBe(asked);
  });

  it('is shown with its file and process to those who watch', async () => {
    const watching = new AbortController();
    const shown: DecisionEvent[] = [];
    const socket = join(root.dir, 'run/pointsman/pointsman.sock');
    const watch = openClient(socket).lines('/v1/watch', (line) => shown.push(JSON.parse(line)), watching.signal);
    const held = new HeldSocket(root, 'observed', 'tcp', SERVER4, 82);
    try {
      // The first may have come before anybody heard of it.
      await until('it to be shown', async () => {
        await once(root, 'observed', 'tcp', SERVER4, 83);
        return shown.some(({ executable }) => executable === root.program('observed'));
      });
      const event = shown.find(({ executable }) => executable === root.program('observed'));
      expect(event).toMatchObject({ by: 'kernel', verdict: 'accept', uid: 0, pid: expect.any(Number) });
      expect(event).not.toHaveProperty('app');
    } finally {
      held.close();
      watching.abort();
      await watch.catch(() => undefined);
    }
  });

  it('goes on while the daemon does not answer', async () => {
    void daemon.signal('SIGSTOP');
    try {
      expect(await once(root, 'undaunted', 'tcp', SERVER4, 80)).toBe(FIRST.v4);
    } finally {
      void daemon.signal('SIGCONT');
    }
    expect(await queued()).toBe(before);
  });
});

describe('a file that comes under a named path', () => {
  it('counts as the application from its first packet on', async () => {
    expect(await once(root, 'mail', 'tcp', SERVER4, 80)).toBe(REFUSED);
    for (let round = 0; round < 10; round += 1) {
      upgrade('mail');
      expect(await once(root, 'mail', 'tcp', SERVER4, 80)).toBe(REFUSED);
    }
  });

  it('counts as the application where a link leads to it', async () => {
    expect(await once(root, 'editor', 'tcp', SERVER4, 80)).toBe(REFUSED);
    for (let round = 0; round < 10; round += 1) {
      upgrade('editor.real');
      expect(await once(root, 'editor', 'tcp', SERVER4, 80)).toBe(REFUSED);
    }
  });

  it('counts as the application that it is renamed to, at once', async () => {
    expect(await once(root, 'postman', 'tcp', SERVER4, 80)).toBe(FIRST.v4);
    renameSync(root.program('postman'), root.program('mail'));
    expect(await once(root, 'mail', 'tcp', SERVER4, 80)).toBe(REFUSED);
  });

  it('counts as the application whose children count as its own, and so do its children, whatever was done to it', async () => {
    const launched = (): string =>
      inDevice(
        root.program('launcher'),
        '-c',
        LAUNCH,
        root.program('stranger-tcp'),
        CLIENT,
        'tcp',
        SERVER4,
        '80',
      ).trim();
    expect(launched()).toBe(REFUSED);
    utimesSync(root.program('launcher'), 1, 1);
    expect(launched()).toBe(REFUSED);
    upgrade('launcher');
    expect(launched()).toBe(REFUSED);
    expect(await once(root, 'stranger-tcp', 'tcp', SERVER4, 80)).toBe(FIRST.v4);
  });

  it('counts as no application any more when no policy names it', async () => {
    root.write('etc/pointsman/policies/mail.yaml', 'mask: true\n');
    await daemon.reload();
    const before = await queued();
    expect(await once(root, 'mail', 'tcp', SERVER4, 80)).toBe(FIRST.v4);
    expect(await queued()).toBe(before);
    root.policy('mail', 'otherwise: deny\n');
    await daemon.reload();
    expect(await once(root, 'mail', 'tcp', SERVER4, 80)).toBe(REFUSED);
  });
});
