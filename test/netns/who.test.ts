/** `pointsman who` and `pointsman apps` ask the real daemon about real programs, whose numbers the programs themselves tell. */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildNetwork,
  DaemonProcess,
  DEVICE,
  FIRST,
  HeldSocket,
  Root,
  removeNetwork,
  SERVER4,
  SERVER6,
  startServer,
} from './daemon/world.ts';
import { buildProgram, POINTSMAN } from './support/build-program.ts';

let root: Root;
let server: ChildProcess;
let daemon: DaemonProcess;
const held: HeldSocket[] = [];

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function pointsman(...words: readonly string[]): Ended {
  const [file = '', ...args] = [...POINTSMAN, ...words, '--root', root.dir];
  const { status, stdout, stderr } = spawnSync('nsenter', [`--net=/run/netns/${DEVICE}`, file, ...args], {
    encoding: 'utf8',
  });
  return { code: status, out: stdout, err: stderr };
}

async function hold(app: string, kind: string, host: string, port: number): Promise<HeldSocket> {
  const socket = new HeldSocket(root, app, kind, host, port);
  held.push(socket);
  expect(await socket.line()).toBe(host === SERVER4 ? FIRST.v4 : FIRST.v6);
  return socket;
}

beforeAll(async () => {
  await buildProgram();
  buildNetwork();
  server = await startServer();
  root = new Root();
  root.policy('mail', 'otherwise: allow\n');
  daemon = await DaemonProcess.start(root);
});

afterAll(async () => {
  for (const socket of held) socket.close();
  await daemon?.signal('SIGKILL');
  server?.kill('SIGKILL');
  removeNetwork();
  root?.remove();
});

describe('pointsman who', () => {
  it('explores', async () => {
    await hold('mail', 'tcp', SERVER4, 80);
    await hold('mail', 'udp-unconnected', SERVER4, 81);
    await hold('other', 'tcp', SERVER6, 82);
    writeFileSync('/tmp/cli-part/out.txt', '');
    const show = (...words: readonly string[]): void => {
      const { code, out, err } = pointsman(...words);
      appendFileSync('/tmp/cli-part/out.txt', `$ ${words.join(' ')}\n${out}${err}[${code}]\n\n`);
    };
    show('status');
    show('apps');
    show('apps', '--all');
    show('apps', '--unmatched', '--json');
    show('who', ':80');
    show('who', ':81');
    show('who', ':82');
    show('who', SERVER4);
    show('who', '1');
    show('who', `${process.pid}`);
    const { programs } = JSON.parse(pointsman('apps', '--json').out);
    show('who', String(programs[0].pids[0]));
    show('who', ':80', '--json');
    show('who', ':9999');
    show('who', '999999999');
    show('who', 'firefox');
    show('who', 'tpc', '1.2.3.4:5');
    show('who', '1.2.3.4:5', '-');
    show('wo', '1');
    show('who');
  });
});
