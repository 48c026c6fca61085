import { describe, expect, it } from 'vitest';
import type { CreatorEvidence, FlowEvidence, ProcessEvidence, SocketEvidence, WhoReport } from '../api/who.ts';
import { renderWho } from './render-who.ts';

const nowMs = 1_700_000_000_000;
const options = { colour: false, nowMs };

const program = { number: 5, name: 'exec:/usr/bin/mail', meaning: 'program 5, exec:/usr/bin/mail' };
const user = { id: 1000, name: 'alice' };

const mail: ProcessEvidence = {
  pid: 4711,
  startedMs: nowMs - 62_000,
  executable: { path: '/usr/bin/mail', file: 'named', named: '/usr/bin/mail', packages: ['mailer'] },
  commandLine: ['mail', '--to', 'a friend', "it's"],
  parents: [{ pid: 900, executable: '/usr/bin/bash' }, { pid: 1 }],
  cgroup: { path: '/user.slice/user-1000.slice/user@1000.service/app.slice/app-mail-1.scope' },
  scopes: ['desktop mail'],
  user,
  group: { id: 100 },
  program,
};

const creator: CreatorEvidence = {
  pid: 4711,
  startedMs: nowMs - 62_000,
  isRunning: true,
  command: 'mail',
  executable: { path: '/usr/bin/mail' },
  executableKey: '0'.repeat(64),
  user,
  program,
};

const socket: SocketEvidence = {
  flow: 'tcp 10.0.0.1:4000 -> 192.0.2.1:443',
  state: 'established',
  inode: 12345,
  cookie: '1f',
  user,
  cgroup: { path: '/user.slice' },
  mark: { mark: '0x80008005', meaning: program.meaning, program },
  creator,
  holders: [{ pid: 4711, executable: '/usr/bin/mail' }],
};

const at = { file: '/etc/pointsman/policies/mail.yaml', line: 4, column: 5 };
const application = { app: 'org.example.Mail', by: 'exec /usr/bin/mail', at };

const flow: FlowEvidence = {
  flow: socket.flow,
  direction: 'out',
  conntrack: { mark: '0x81000003', meaning: 'org.example.Mail, by uplink wifi', app: 'org.example.Mail' },
  sockets: [socket],
  owners: [{ found: 'it made the socket, as the kernel noted', process: mail, application }],
};

const because = 'nobody looked';
const flowsReport = (...flows: readonly FlowEvidence[]): WhoReport => ({ kind: 'flows', flows, more: 0 });

describe('renderWho', () => {
  it('renderWho shows one line for each piece of evidence about a flow', () => {
    expect(renderWho(flowsReport(flow), options)).toBe(
      `tcp 10.0.0.1:4000 -> 192.0.2.1:443, opened from here
  decided      org.example.Mail, by uplink wifi (mark 0x81000003)
  socket       established, inode 12345, sk:1f, alice (uid 1000)
  its mark     program 5, exec:/usr/bin/mail (0x80008005)
  its cgroup   /user.slice
  made by      process 4711 "mail", /usr/bin/mail, alice (uid 1000), started 1 min 2 s ago, as program 5, exec:/usr/bin/mail
  held by      4711 /usr/bin/mail
  owner        it made the socket, as the kernel noted
  process      4711
  executable   /usr/bin/mail, the file that a policy names
  package      mailer
  command      mail --to 'a friend' 'it'\\''s'
  started      1 min 2 s ago
  parents      900 /usr/bin/bash < 1
  cgroup       /user.slice/user-1000.slice/user@1000.service/app.slice/app-mail-1.scope
  runs as      desktop mail
  user         alice (uid 1000), group gid 100
  kernel       marks its new sockets as program 5, exec:/usr/bin/mail
  application  org.example.Mail, by exec /usr/bin/mail, /etc/pointsman/policies/mail.yaml:4:5
`,
    );
  });

  it('renderWho gives the reason for each piece of evidence that is missing', () => {
    const missing: FlowEvidence = {
      ...flow,
      direction: 'not known',
      conntrack: { because },
      sockets: { because },
      owners: [{ found: 'unknown, because it has ended', process: { because }, application: { because } }],
    };
    const noted: SocketEvidence = {
      ...socket,
      cgroup: { because },
      mark: { because },
      creator: { because },
      holders: { because },
    };
    expect(
      renderWho({ kind: 'flows', flows: [missing, { ...flow, sockets: [noted], owners: [] }], more: 3 }, options),
    ).toBe(`tcp 10.0.0.1:4000 -> 192.0.2.1:443, nothing tells who opened it
  decided      unknown, because nobody looked
  socket       unknown, because nobody looked
  owner        unknown, because it has ended
  process      unknown, because nobody looked
  application  none, because nobody looked

tcp 10.0.0.1:4000 -> 192.0.2.1:443, opened from here
  decided     org.example.Mail, by uplink wifi (mark 0x81000003)
  socket      established, inode 12345, sk:1f, alice (uid 1000)
  its mark    unknown, because nobody looked
  its cgroup  unknown, because nobody looked
  made by     unknown, because nobody looked
  held by     unknown, because nobody looked

and 3 more: say more of the one that you mean
`);
  });

  it('renderWho says what became of the process that made a socket', () => {
    const madeBy = (made: Partial<CreatorEvidence>): string | undefined =>
      renderWho(flowsReport({ ...flow, sockets: [{ ...socket, creator: { ...creator, ...made } }] }), options)
        .split('\n')
        .find((line) => line.startsWith('  made by'));
    const maker = '  made by      process 4711 "mail", /usr/bin/mail, alice (uid 1000), started 1 min 2 s ago';
    expect(madeBy({})).toBe(`${maker}, as ${program.meaning}`);
    expect(madeBy({ isRunning: false })).toBe(`${maker}, has ended, as ${program.meaning}`);
    expect(madeBy({ runsNow: '/usr/bin/less' })).toBe(
      `${maker}, runs another program now (/usr/bin/less), as ${program.meaning}`,
    );
  });

  it('renderWho numbers the owners where nothing tells which of them it is', () => {
    const owner = { found: 'it holds the socket', process: { because }, application };
    expect(renderWho(flowsReport({ ...flow, owners: [owner, owner] }), options)).toContain(
      `  owner 1      it holds the socket
  process      unknown, because nobody looked
  application  org.example.Mail, by exec /usr/bin/mail, /etc/pointsman/policies/mail.yaml:4:5
  owner 2      it holds the socket
`,
    );
  });

  it('renderWho shows a process with its sockets, and whose they were before', () => {
    const inherited: SocketEvidence = { ...socket, creator: { ...creator, pid: 900, command: 'bash' } };
    const process: ProcessEvidence = {
      ...mail,
      executable: { path: '/usr/bin/mail', file: 'other', isDeleted: true, packages: [] },
      script: '/opt/x.py',
      childOf: 'steam',
      program: { because },
      isElsewhere: true,
    };
    const report = { kind: 'process', process, application: { because }, sockets: [socket, inherited] } as const;
    expect(renderWho({ ...report, moreSockets: 2 }, options)).toBe(`process 4711
  application  none, because nobody looked
  executable   /usr/bin/mail (removed or replaced since it started), but not the file of that name here, which a policy names
  package      no Debian package has it
  command      mail --to 'a friend' 'it'\\''s'
  script       /opt/x.py, which a policy names
  child of     steam (children: same)
  started      1 min 2 s ago
  parents      900 /usr/bin/bash < 1
  cgroup       /user.slice/user-1000.slice/user@1000.service/app.slice/app-mail-1.scope
  runs as      desktop mail
  user         alice (uid 1000), group gid 100
  kernel       unknown, because nobody looked
  network      of another namespace, which this daemon does not govern
  socket       tcp 10.0.0.1:4000 -> 192.0.2.1:443 established; program 5, exec:/usr/bin/mail
               tcp 10.0.0.1:4000 -> 192.0.2.1:443 established; program 5, exec:/usr/bin/mail; made by process 900 (bash)
               and 2 more sockets
`);
  });

  it('renderWho lets no control sequence of a process reach the terminal', () => {
    const evil = '\u001b]0;x\u0007\r\n  application  trusted\u202e';
    const process: ProcessEvidence = {
      ...mail,
      executable: { path: evil, file: 'named', named: `${evil}2`, packages: { because: evil } },
      commandLine: [evil, evil],
      script: evil,
      childOf: evil,
      parents: [{ pid: 1, executable: evil }],
      cgroup: { path: evil },
      scopes: [evil],
      user: { id: 1, name: evil },
      group: { id: 1, name: evil },
      program: { number: 1, name: evil, meaning: evil },
    };
    const evilSocket: SocketEvidence = {
      ...socket,
      flow: evil,
      state: evil,
      mark: { mark: evil, meaning: evil },
      creator: { ...creator, command: evil, runsNow: evil, executable: { path: evil } },
      holders: [{ pid: 1, executable: evil }],
    };
    const owner = { found: evil, process, application: { app: evil, by: evil, at: { ...at, file: evil } } };
    const clean = renderWho(flowsReport(flow), options);
    const text = renderWho(flowsReport({ ...flow, flow: evil, sockets: [evilSocket], owners: [owner] }), options);
    expect(text).not.toMatch(/[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/u);
    // No line of its own: only the two that a script and a parent application add.
    expect(text.split('\n')).toHaveLength(clean.split('\n').length + 2);
    const report = { kind: 'process', process, application: { because: evil }, sockets: [evilSocket] } as const;
    expect(renderWho({ ...report, moreSockets: 0 }, options)).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
  });

  it('renderWho cuts a long command line, and colours only where it may', () => {
    const owner = { found: 'x', process: { ...mail, commandLine: ['a'.repeat(5000)] }, application };
    expect(renderWho(flowsReport({ ...flow, owners: [owner] }), options)).toContain(`  ${'a'.repeat(200)} ...\n`);
    expect(renderWho(flowsReport(flow), options)).not.toContain('\u001b');
    expect(renderWho(flowsReport(flow), { ...options, colour: true })).toContain('\u001b[');
  });
});
