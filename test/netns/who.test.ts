/** `pointsman who` and `pointsman apps` ask the real daemon about real programs; what these say of themselves is the oracle. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AppsReport, RunningProgram } from '../../src/api/apps.ts';
import type { FlowsReport, ProcessReport } from '../../src/api/who.ts';
import { EXIT } from '../../src/cli/exit-code.ts';
import { Machine } from './daemon/machine.ts';
import { type DaemonProcess, DEVICE, FIRST, type Root, SERVER4, SERVER6 } from './daemon/world.ts';
import { POINTSMAN } from './support/build-program.ts';

const GUEST = 4242;
const WITHOUT = 'POINTSMAN_WITHOUT';

/** Connects, and says from which port as which process. */
const CONNECT = `
import os, socket, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(b"x"); s.recv(64)
print(os.getpid(), s.getsockname()[1], flush=True)
`;
const STAY = `${CONNECT}
time.sleep(600)`;
/** Its child keeps the socket and has nothing else to do with it. */
const LEAVE_IT_TO_A_CHILD = `${CONNECT}
if os.fork() == 0: time.sleep(600)`;
/** It goes on as another program, which keeps the socket open. */
const BECOME_ANOTHER = `${CONNECT}
s.set_inheritable(True); os.execv("/usr/bin/sleep", ["sleep", "600"])`;

/** Accepts one connection, and says on which port. */
const ACCEPT = `
import os, socket, sys, time
s = socket.create_server(("", int(sys.argv[1])))
print(os.getpid(), s.getsockname()[1], flush=True)
c = s.accept()
time.sleep(600)`;
/** Beyond the uplinks. */
const BEYOND = DEVICE.replace(/device$/, 'net');

interface Program {
  readonly pid: number;
  readonly port: number;
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;
const children: ChildProcess[] = [];

const inNetwork = (command: readonly string[]): readonly string[] => [`--net=/run/netns/${DEVICE}`, ...command];
const policyOf = (app: string): string => join(root.dir, `etc/pointsman/policies/${app}.yaml`);

function pointsman(...words: readonly string[]): Ended {
  const options = { encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(
    'nsenter',
    inNetwork([...POINTSMAN, ...words, '--root', root.dir]),
    options,
  );
  return { code: status, out: stdout, err: stderr };
}

function json<T>(...words: readonly string[]): T {
  const { code, out, err } = pointsman(...words, '--json');
  if (code !== EXIT.ok) throw new Error(`exit code ${code}: ${err}`);
  return JSON.parse(out) as T;
}

/** A program that prints its process and its port; every step before it execs. */
function started(command: readonly string[]): Promise<Program> {
  const child = spawn('nsenter', inNetwork(command), { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  children.push(child);
  return new Promise((resolve, reject) => {
    let [out, err] = ['', ''];
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString();
    });
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      const [, pid, port] = /^(\d+) (\d+)\n/.exec(out) ?? [];
      if (pid !== undefined) resolve({ pid: Number(pid), port: Number(port) });
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error(`it ended\n${out}${err}`)));
  });
}

const connected = (app: string, host: string, port: number, code = STAY): Promise<Program> =>
  started([root.program(app), '-c', code, host, `${port}`]);

const flowOf = ({ port }: Program, host: string, peerPort: number): string =>
  host === SERVER4
    ? `tcp ${FIRST.v4}:${port} -> ${host}:${peerPort}`
    : `tcp [${FIRST.v6}]:${port} -> [${host}]:${peerPort}`;

const programs = (...words: readonly string[]): readonly RunningProgram[] =>
  json<AppsReport>('apps', ...words).programs;

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  root.policy('mail', 'otherwise: allow\n');
  root.policy('old', 'otherwise: allow\n');
  root.write('bin/x.py', `${STAY}\n`);
  root.write(
    'etc/pointsman/policies/x.yaml',
    `pointsman: 1\napp: x\nmatch:\n  - script: ${root.dir}/bin/x.py\notherwise: allow\n`,
  );
  root.write(
    'etc/pointsman/policies/guest.yaml',
    `pointsman: 1\napp: guest\nmatch:\n  - user: ${GUEST}\notherwise: allow\n`,
  );
  daemon = await machine.startDaemon();
});

afterAll(async () => {
  for (const { pid } of children) {
    try {
      // The whole group: forks of it hold sockets, too.
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
  await machine?.[Symbol.asyncDispose]();
});

describe('pointsman who', () => {
  it.each([
    [SERVER4, 80],
    [SERVER6, 81],
  ])('who joins a connection to %s with its socket, its maker and the entry that names it', async (host, peerPort) => {
    const mail = await connected('mail', host, peerPort);
    const flow = flowOf(mail, host, peerPort);
    const executable = root.program('mail');
    const report = json<FlowsReport>('who', flow);
    expect(report).toMatchObject({
      kind: 'flows',
      more: 0,
      flows: [
        {
          flow,
          direction: 'out',
          conntrack: { app: 'mail', way: 'the system’s route' },
          sockets: [
            {
              flow,
              state: 'established',
              user: { id: 0 },
              mark: { program: { name: `exec:${executable}` } },
              creator: { pid: mail.pid, isRunning: true, executable: { path: executable }, command: 'mail' },
              holders: [{ pid: mail.pid, executable }],
            },
          ],
          owners: [
            {
              process: { pid: mail.pid, executable: { path: executable, file: 'named', packages: [] } },
              application: { app: 'mail', by: `exec ${executable}`, at: { file: policyOf('mail'), line: 3 } },
            },
          ],
        },
      ],
    });
    for (const pasted of [`:${mail.port}`, flow.replace(' ->', ''), flow.replace('tcp ', '')])
      expect(json<FlowsReport>('who', pasted).flows.map((each) => each.flow)).toEqual([flow]);
    const text = pointsman('who', flow);
    expect(text.code).toBe(EXIT.ok);
    expect(text.out).toMatch(/^ {2}application {2}mail, by exec .*mail\.yaml:3:\d+$/m);
    expect(text.out).not.toContain('\u001b');
  });

  it('who knows the maker of a socket that has ended', async () => {
    const mail = await connected('mail', SERVER4, 82, LEAVE_IT_TO_A_CHILD);
    const flow = flowOf(mail, SERVER4, 82);
    const maker = { pid: mail.pid, isRunning: false, executable: { path: root.program('mail') } };
    const ended = { because: `process ${mail.pid} has ended` };
    await expect
      .poll(() => json<FlowsReport>('who', flow).flows)
      .toMatchObject([{ sockets: [{ creator: maker }], owners: [{ process: ended, application: { app: 'mail' } }] }]);
    expect(pointsman('who', flow).out).toMatch(/made by .*process \d+ "mail".*, has ended, as program \d+, exec:/);
  });

  it('who says of the maker of a socket that runs another program which one, and not that it has ended', async () => {
    const mail = await connected('mail', SERVER4, 82, BECOME_ANOTHER);
    const flow = flowOf(mail, SERVER4, 82);
    const [path, sleep] = [root.program('mail'), realpathSync('/usr/bin/sleep')];
    const maker = { pid: mail.pid, isRunning: true, runsNow: sleep, executable: { path } };
    const process = { because: `process ${mail.pid} runs another program now (${sleep})` };
    await expect
      .poll(() => json<FlowsReport>('who', flow).flows)
      .toMatchObject([
        {
          sockets: [{ creator: maker, holders: [{ pid: mail.pid, executable: sleep }] }],
          owners: [{ process, application: { app: 'mail' } }],
        },
      ]);
    const { out } = pointsman('who', flow);
    expect(out).toMatch(/made by .*process \d+ "mail".*, runs another program now \(.*sleep\), as program \d+, exec:/);
    expect(out).not.toContain('has ended');
  });

  it('who tells a process by script and by user, and one that nobody names', async () => {
    const script = await started(['/usr/bin/python3', join(root.dir, 'bin/x.py'), SERVER4, '80']);
    const asGuest = ['setpriv', `--reuid=${GUEST}`, '--clear-groups', '/usr/bin/python3', '-c', STAY, SERVER4, '80'];
    const guest = await started(asGuest);
    const other = await connected('other', SERVER4, 80);
    const ask = ({ pid }: Program): ProcessReport => json<ProcessReport>('who', `${pid}`);
    const path = join(root.dir, 'bin/x.py');
    expect(ask(script)).toMatchObject({
      process: { script: path, executable: { path: expect.stringMatching(/python/), file: 'not named' } },
      application: { app: 'x', by: `script ${path}`, at: { file: policyOf('x'), line: 4 } },
      sockets: [{ mark: { program: { name: `script:${path}` } } }],
    });
    expect(ask(guest)).toMatchObject({
      process: { user: { id: GUEST } },
      application: { app: 'guest', by: `user ${GUEST}` },
      sockets: [{ flow: flowOf(guest, SERVER4, 80), user: { id: GUEST } }],
    });
    expect(ask(other)).toMatchObject({ application: { because: 'no policy is about it' }, sockets: [{}] });
    expect(ask(other).application).not.toHaveProperty('app');
  });

  it('who takes no file for the one over which it was mounted', async () => {
    const forge = 'mount --bind "$1" "$2" && shift && exec "$@"';
    const command = ['sh', '-c', forge, 'sh', root.program('other'), root.program('mail'), '-c', STAY, SERVER4, '83'];
    const forged = await started(['unshare', '-Urm', ...command]);
    const report = json<ProcessReport>('who', `${forged.pid}`);
    expect(report).toMatchObject({
      process: { executable: { path: root.program('mail'), file: 'other' } },
      application: { because: expect.stringContaining('is not the file') },
    });
    expect(report.application).not.toHaveProperty('app');
    expect(json<FlowsReport>('who', flowOf(forged, SERVER4, 83)).flows[0]?.owners[0]?.application).not.toHaveProperty(
      'app',
    );
  });

  it('who tells who listens, and who has accepted a connection', async () => {
    const listener = await started([root.program('mail'), '-c', ACCEPT, '9000']);
    const accepted = { process: { pid: listener.pid }, application: { app: 'mail' } };
    const peer = spawn('nsenter', [
      `--net=/run/netns/${BEYOND}`,
      ...[
        '/usr/bin/python3',
        '-c',
        'import socket, sys, time; s = socket.create_connection((sys.argv[1], 9000)); time.sleep(600)',
      ],
      FIRST.v4,
    ]);
    children.push(peer);
    await expect
      .poll(() => json<FlowsReport>('who', ':9000').flows)
      .toMatchObject([
        { direction: 'in', sockets: [{ state: 'established' }], owners: [accepted] },
        {
          flow: 'tcp 0.0.0.0:9000',
          direction: 'waiting for others',
          sockets: [{ state: 'listening' }],
          owners: [accepted],
        },
      ]);
  });

  it('who knows a program whose file was replaced since', async () => {
    const old = await connected('old', SERVER4, 84);
    const path = root.program('old');
    rmSync(path);
    copyFileSync('/usr/bin/true', path);
    expect(json<ProcessReport>('who', `${old.pid}`)).toMatchObject({
      process: { executable: { path, file: 'named', isDeleted: true } },
      application: { app: 'old' },
    });
  });

  it('who shows nothing to a terminal that a program made up', async () => {
    const evil = '\u001b]0;owned\u0007\n  application  trusted';
    const program = await started([root.program('other'), '-c', STAY, SERVER4, '80', evil]);
    const { out } = pointsman('who', `${program.pid}`);
    expect(out).not.toMatch(/[^\P{Cc}\n]/u);
    expect(out.split('\n').filter((line) => line.startsWith('  application'))).toHaveLength(1);
  });

  it('who ends with the code that fits', async () => {
    const ended = await connected('other', SERVER4, 80, CONNECT);
    expect(pointsman('who', '192.0.2.99:9')).toMatchObject({
      code: EXIT.failed,
      err: expect.stringContaining('hint:'),
    });
    await expect.poll(() => pointsman('who', `${ended.pid}`)).toMatchObject({ code: EXIT.failed, out: '' });
    expect(pointsman('who', 'tpc', '192.0.2.99:9')).toMatchObject({
      code: EXIT.usage,
      err: expect.stringContaining('did you mean "tcp"?'),
    });
    expect(pointsman('wo', '1')).toMatchObject({ code: EXIT.usage, err: expect.stringContaining('Did you mean who?') });
  });
});

describe('pointsman apps', () => {
  it('apps shows who runs by which entry, and what no policy is about', async () => {
    const before = programs().find(({ app }) => app === 'mail');
    const mail = await connected('mail', SERVER4, 80);
    const other = await connected('unnamed', SERVER4, 80);
    const running = programs();
    const after = running.find(({ app }) => app === 'mail');
    expect(after).toMatchObject({ toldBy: ['exec'], files: [policyOf('mail')] });
    expect(after?.processes).toBe((before?.processes ?? 0) + 1);
    expect(after?.sockets).toBe((before?.sockets ?? 0) + 1);
    expect(after?.pids).toContain(mail.pid);
    const [unnamed] = programs('--unmatched').filter(({ pids }) => pids.includes(other.pid));
    expect(unnamed).toEqual({
      executables: [root.program('unnamed')],
      toldBy: [],
      processes: 1,
      pids: [other.pid],
      sockets: 1,
      files: [],
    });
    expect(programs('--unmatched').filter(({ app }) => app !== undefined)).toEqual([]);
    const { code, out } = pointsman('apps');
    expect(code).toBe(EXIT.ok);
    expect(out).toMatch(/^APPLICATION +TOLD BY +PROCESSES +SOCKETS +FILES$/m);
    expect(out).toMatch(/^mail +executable +/m);
  });

  it('apps shows programs without a socket only on demand, and never those of other networks', async () => {
    const sleeper = spawn('nsenter', inNetwork([root.program('sleeper'), '-c', 'import time; time.sleep(600)']), {
      detached: true,
    });
    children.push(sleeper);
    const isShown = (...words: readonly string[]): boolean =>
      programs(...words).some(({ executables }) => executables.includes(root.program('sleeper')));
    await expect.poll(() => isShown('--all')).toBe(true);
    expect(isShown()).toBe(false);
    const pids = programs('--all').flatMap((program) => program.pids);
    expect(pids).not.toContain(process.pid);
    expect(json<AppsReport>('apps').elsewhere).toBeGreaterThan(0);
  });
});

describe('pointsman who, where the kernel tells no programs', () => {
  it('who tells by living processes, and says what it does not know', async () => {
    await daemon.signal('SIGTERM');
    process.env[WITHOUT] = 'bpf,fanotify';
    try {
      daemon = await machine.startDaemon();
    } finally {
      delete process.env[WITHOUT];
    }
    const mail = await connected('mail', SERVER4, 80);
    expect(json<FlowsReport>('who', flowOf(mail, SERVER4, 80)).flows).toMatchObject([
      {
        conntrack: { app: 'mail' },
        sockets: [{ creator: { because: expect.stringContaining('notes nothing') }, holders: [{ pid: mail.pid }] }],
        owners: [{ found: 'it holds the socket', process: { pid: mail.pid }, application: { app: 'mail' } }],
      },
    ]);
    const { out } = pointsman('status');
    expect(out).toMatch(/^ {2}executables {2}asked, because /m);
    expect(out).toMatch(/^ {2}scripts {6}by their command line, because /m);
    await daemon.signal('SIGTERM');
    expect(pointsman('who', '1').code).toBe(EXIT.notRunning);
    expect(pointsman('apps').code).toBe(EXIT.notRunning);
  });
});
