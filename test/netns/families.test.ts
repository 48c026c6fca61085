/** Families (`children: same`) that are larger than any bound should notice. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from './daemon/machine.ts';
import { type DaemonProcess, FIRST, inDevice, once, type Root, SERVER4 } from './daemon/world.ts';

const CLIENT = join(import.meta.dirname, 'daemon/client.py');
const CROWD = join(import.meta.dirname, 'daemon/crowd.c');
/** More than was once kept. */
const LIVING = 17_500;
/** The rest of the machine runs, too. */
const OTHERS = 2000;

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  mkdirSync(join(root.dir, 'bin'));
  execFileSync('gcc', ['-O2', '-o', join(root.dir, 'bin/launcher'), CROWD]);
  root.policy('launcher', 'children: same\notherwise: deny\n');
  daemon = await machine.startDaemon();
});

afterAll(() => machine?.[Symbol.asyncDispose]());

const mayRun = (): number => Number(readFileSync('/proc/sys/kernel/pid_max', 'utf8')) - OTHERS;

describe('an application whose children count as its own', () => {
  it('keeps its first child when thousands have followed it', async () => {
    const living = Math.min(LIVING, mayRun());
    const answer = inDevice(
      root.program('launcher'),
      `${living}`,
      root.program('stranger'),
      CLIENT,
      'tcp',
      SERVER4,
      '80',
    );
    expect(answer.trim()).toBe('ECONNREFUSED');
    expect(await once(root, 'stranger', 'tcp', SERVER4, 80)).toBe(FIRST.v4);
    expect((await daemon.status()).identity.sockets?.tasksLost).toBe(0);
  });
});
