/**
 * A start that stands still says where. What holds it is a tool whose program may not be opened yet, as where somebody else is asked before that:
 * uv_spawn() waits for it, and with it all that the first thread of the daemon does.
 */
import { closeSync, copyFileSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FanotifyGroup } from '../../src/kernel/fanotify.ts';
import { nodeCommand } from '../../src/kernel/node-command.ts';
import { buildProgram } from './support/build-program.ts';
import { Daemon } from './support/daemon.ts';
import { Device } from './support/device.ts';
import { until } from './support/until.ts';

const NFT = '/usr/sbin/nft';
const DRIVER = fileURLToPath(new URL('start-watch-driver.mjs', import.meta.url));

let device: Device;
let directory: string;
beforeAll(async () => {
  await buildProgram();
  device = await Device.build('startwatch');
  directory = mkdtempSync(join(tmpdir(), 'start-watch-'));
});
afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** For the daemon alone, which sees it in the place of nft. */
class HeldTool implements Disposable {
  readonly path: string;
  readonly #group = FanotifyGroup.open();

  constructor() {
    this.path = join(directory, 'nft');
    copyFileSync(NFT, this.path);
    const fd = openSync(this.path, 'r');
    this.#group.mark(fd);
    closeSync(fd);
  }

  [Symbol.dispose](): void {
    this.#group[Symbol.dispose]();
  }
}

it('a start says at which step it stands and which tool it has begun, and goes on when that does', async () => {
  const held = new HeldTool();
  const wrap = (command: readonly string[]): readonly string[] => [
    'unshare',
    '-m',
    'sh',
    '-c',
    `mount --bind "$0" ${NFT} && exec "$@"`,
    held.path,
    ...command,
  ];
  const daemon = device.spawnDaemon({ wrap });
  try {
    const said =
      /the start waits for nft, which is asked what the kernel can do, for \d+ s by now; .* \(process \d+\) of it runs/;
    await until('the start to say where it stands', () => said.test(daemon.output));
  } finally {
    held[Symbol.dispose]();
  }
  await until('the daemon to be up', () => daemon.output.includes('control socket'));
  expect(await daemon.stop()).toBe('exit code 0');
});

const driver = (what: string): Daemon => Daemon.spawn(nodeCommand(DRIVER, what));

it('StartWatch ends a process whose first thread comes to no end, and says what is left', async () => {
  const blocked = driver('block');
  expect(await blocked.ended()).toBe('exit code 1');
  expect(blocked.output).toMatch(
    /^pointsman: the start waits for the first plan, for \d+ s by now\n.*pointsman: the start comes to no end: it waits for the first plan, for .* the next start takes it over\n$/s,
  );
});

it('StartWatch says nothing of steps that go on, or once the start is over', async () => {
  const [going, over] = [driver('go on'), driver('be over')];
  expect([await going.ended(), going.output]).toEqual(['exit code 0', '']);
  expect([await over.ended(), over.output]).toEqual(['exit code 0', '']);
});
