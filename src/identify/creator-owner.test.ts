import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeMachine } from '../../test/contract/fake-machine.ts';
import { NO_EXECUTABLE } from '../bpf/records.ts';
import type { FakeProcess } from '../kernel/fake/fake-socket-marks.ts';
import type { Flow } from '../net/flow.ts';
import { IPPROTO_UDP } from '../net/protocol.ts';
import type { Programs } from '../plan/host.ts';
import { PROGRAM_NONE_FIRST } from '../plan/reserved.ts';
import { indexApps } from '../policy/match-app.ts';
import type { Match } from '../policy/model.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { CreatorOwners } from './creator-owner.ts';
import { MAX_PATHS_AT_ONCE, MIN_LOOK_PAUSE_MS } from './named-files.ts';
import { type PolicyNames, policyNames } from './policy-names.ts';
import { ProcessReader } from './process-reader.ts';
import { BROKERS } from './socket-broker.ts';
import type { SocketOwner } from './socket-owner.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const SAME = { value: { are: 'same', at }, layer: 'administrator' } as const;
const NONE = PROGRAM_NONE_FIRST + 1;

let machine: FakeMachine;
let clock: { ms: number };
let creators: CreatorOwners;
let names: PolicyNames;
let mail: string;
let other: string;

beforeEach(() => {
  machine = new FakeMachine();
  clock = { ms: 0 };
  const { marks, proc, cgroups } = machine;
  const reader = new ProcessReader(proc, cgroups, () => clock.ms);
  creators = new CreatorOwners({ marks, proc, reader, monotonicMs: () => clock.ms });
  [mail, other] = [machine.path('mail'), machine.path('other')];
  for (const path of [mail, other]) machine.writeFile(path);
  names = naming([{ kind: 'exec', value: mail, at }]);
});

afterEach(() => machine[Symbol.dispose]());

/** All of so many are not looked at for each file in question. */
const tooMany = (): readonly Match[] =>
  Array.from({ length: MAX_PATHS_AT_ONCE + 1 }, (_, i) => ({ kind: 'exec', value: machine.path(`other-${i}`), at }));

function naming(match: readonly Match[], numbers: Record<string, number> = {}): PolicyNames {
  const policySet = {
    apps: [
      {
        app: 'org.example.Mail',
        match,
        rules: [],
        files: [],
        ...('children:org.example.Mail' in numbers && { children: SAME }),
      },
    ],
    systemDefault: builtinSystemDefault,
    uplinks: [],
  };
  const programs: Programs = { numbers: new Map(Object.entries(numbers)), none: NONE };
  return policyNames(indexApps(policySet), programs);
}

const ownerOf = (socket: SocketOwner) => creators.ownerOf(socket, names);
/** As it is reported, after the answer. */
function confirmed(socket: SocketOwner) {
  const owner = ownerOf(socket);
  return owner?.kind === 'process' ? creators.confirm(owner) : owner;
}
const started = (path: string, options?: Parameters<FakeMachine['start']>[1]): [FakeProcess, SocketOwner] => {
  const process = machine.start(path, options);
  return [process, machine.makeSocket(process)];
};
/** As the daemon does it. */
function mark(path: string, number: number): void {
  const key = machine.marks.keyOfFile(path);
  if (key === undefined) throw new Error(path);
  machine.marks.setExecutable(key, { number });
}

describe('CreatorOwners', () => {
  it('CreatorOwners tells the living creator with all that is known of it', () => {
    const [process, socket] = started(mail, { uid: 7, gid: 8 });
    expect(ownerOf(socket)).toEqual({
      kind: 'process',
      pid: process.pid,
      uid: 7,
      gid: 8,
      cgroup: '/apps',
      executable: mail,
      executableKey: machine.marks.keyOfFile(mail),
      foundBy: 'creator',
    });
    expect(ownerOf({ ...socket, accepted: true })).toMatchObject({ accepted: true });
  });

  it('CreatorOwners says nothing where nothing was noted', () => {
    const [, socket] = started(mail);
    expect(ownerOf({ inode: 1, uid: 0 })).toBeUndefined();
    expect(ownerOf({ ...socket, cookie: 99_999n })).toBeUndefined();
    expect(creators.isNoted({ ...socket, cookie: 99_999n })).toBe(false);
    expect(creators.isNoted(socket)).toBe(true);
    const { marks } = machine;
    const reader = new ProcessReader(machine.proc, undefined);
    const noted = { ...marks.creatorOf(socket.cookie ?? 0n), executable: NO_EXECUTABLE };
    const kernelThread = {
      counts: () => marks.counts(),
      keyOfFile: () => undefined,
      programOf: () => undefined,
      programOfFile: () => undefined,
      released: () => [],
      releasedBy: () => undefined,
      creatorOf: () => noted as never,
    };
    const owners = new CreatorOwners({ marks: kernelThread, proc: machine.proc, reader });
    expect(owners.ownerOf(socket, names)).toBeUndefined();
  });

  it('CreatorOwners knows an ended creator by its file, named or not', () => {
    const [process, socket] = started(mail, { command: 'mailer' });
    const [unnamed, itsSocket] = started(other);
    for (const ended of [process, unnamed]) machine.end(ended);
    expect(ownerOf(socket)).toMatchObject({ executable: mail, foundBy: 'former creator', command: 'mailer' });
    expect(ownerOf(socket)).not.toHaveProperty('executableUnproven');
    clock.ms += MIN_LOOK_PAUSE_MS * 100;
    expect(ownerOf(itsSocket)).toMatchObject({ kind: 'process', foundBy: 'former creator' });
    expect(ownerOf(itsSocket)).not.toHaveProperty('executable');
  });

  it('CreatorOwners knows an ended creator by the number it had, also where its file has been replaced', () => {
    names = naming([{ kind: 'exec', value: mail, at }], { [`exec:${mail}`]: 5 });
    mark(mail, 5);
    const [process, socket] = started(mail);
    const key = machine.marks.keyOfFile(mail);
    machine.writeFile(mail);
    machine.end(process);
    // Of so many files that a path had only the latest are known.
    if (key !== undefined) machine.marks.forgetExecutable(key);
    expect(ownerOf(socket)).toMatchObject({ kind: 'process', executable: mail, foundBy: 'former creator' });
    expect(ownerOf(socket)).not.toHaveProperty('executableUnproven');
  });

  it('CreatorOwners does not take a replaced file for the one that has its path now', () => {
    const [process, socket] = started(mail);
    machine.writeFile(mail);
    expect(ownerOf(socket)).toMatchObject({ executable: mail, executableUnproven: true });
    machine.end(process);
    expect(ownerOf(socket)).toMatchObject({ executable: mail, executableUnproven: true });
  });

  it('CreatorOwners does not take another process with the same pid for the creator', () => {
    const [process, socket] = started(other);
    machine.giveAwayPid(process, mail);
    const owner = ownerOf(socket);
    expect(owner).toMatchObject({ kind: 'process', foundBy: 'former creator' });
    expect(owner).not.toMatchObject({ executable: mail });
  });

  it('CreatorOwners tells the program that made the socket, not what its process runs since', () => {
    const [process, socket] = started(other);
    machine.exec(process, mail);
    const owner = ownerOf(socket);
    expect(owner).not.toMatchObject({ executable: mail });
    const [named, itsSocket] = started(mail);
    machine.exec(named, other);
    expect(ownerOf(itsSocket)).toMatchObject({ executable: mail });
    expect(ownerOf(itsSocket)).not.toHaveProperty('executableUnproven');
    // What it runs now, and who started that, says nothing of the socket.
    expect([owner, confirmed(itsSocket)]).toMatchObject([{ foundBy: 'former creator' }, { foundBy: 'former creator' }]);
  });

  it('CreatorOwners.confirm() takes back what the process is called where it was another one', () => {
    const third = machine.path('third');
    machine.writeFile(third);
    ownerOf(started(other)[1]);
    const [process, socket] = started(third);
    machine.exec(process, other);
    // The cgroup is known and no policy speaks of either: the answer does not wait for the proof.
    expect(ownerOf(socket)).toMatchObject({ executable: other, executableUnproven: true, foundBy: 'creator' });
    expect(confirmed(socket)).toMatchObject({
      executableKey: machine.marks.keyOfFile(third),
      foundBy: 'former creator',
    });
    expect(confirmed(socket)).not.toHaveProperty('executable');
  });

  it('CreatorOwners.confirm() lets stand what is so', () => {
    const [, socket] = started(other);
    expect(confirmed(socket)).toEqual(ownerOf(socket));
    expect(confirmed(socket)).toMatchObject({ executable: other, foundBy: 'creator' });
  });

  it('CreatorOwners does not believe what a process calls its file', () => {
    const [, socket] = started(other, { link: mail });
    expect(ownerOf(socket)).toMatchObject({ executable: mail, executableUnproven: true });
    // The other way round: it is the named file, whatever it is called.
    const [process, itsSocket] = started(mail, { link: '/home/eve/game' });
    expect(ownerOf(itsSocket)).toMatchObject({ executable: mail });
    expect(ownerOf(itsSocket)).not.toHaveProperty('executableUnproven');
    machine.end(process);
    expect(ownerOf(itsSocket)).toMatchObject({ executable: mail });
  });

  it('CreatorOwners finds a hard link to a named file', () => {
    const link = machine.path('elsewhere');
    machine.linkFile(link, mail);
    const [process, socket] = started(link);
    expect(ownerOf(socket)).toMatchObject({ executable: mail });
    machine.end(process);
    machine.removeFile(link);
    // The key of a file changes with its links: what was noted is not the file any more, as far as anybody can tell.
    expect(ownerOf(machine.makeSocket(machine.start(mail)))).toMatchObject({ executable: mail });
  });

  it('CreatorOwners knows at once that nobody names the file of one who has ended, whoever has ended a moment ago', () => {
    for (let count = 0; count < 20; count++) {
      const fresh = machine.path(`fresh-${count}`);
      machine.writeFile(fresh);
      const [process, socket] = started(fresh, { command: `fresh-${count}` });
      machine.end(process);
      expect(ownerOf(socket)).toMatchObject({ kind: 'process', command: `fresh-${count}` });
    }
  });

  it('CreatorOwners says that it does not know where all of too many named files were looked at a moment ago', () => {
    const [first, firstSocket] = started(other);
    machine.end(first);
    names = naming(tooMany());
    ownerOf(firstSocket);
    const fresh = machine.path('fresh');
    machine.writeFile(fresh);
    const [second, socket] = started(fresh, { command: 'fresh' });
    machine.end(second);
    const unknown = ownerOf(socket);
    const because = 'its process has ended, and its executable is not known';
    expect(unknown).toMatchObject({ kind: 'unknown', because, command: 'fresh', cgroup: '/apps', uid: 0 });
    clock.ms += MIN_LOOK_PAUSE_MS * 100;
    expect(ownerOf(socket)).toMatchObject({ kind: 'process' });
  });

  it('CreatorOwners does not say of a process that runs another program that it has ended', () => {
    const [first, firstSocket] = started(other);
    machine.end(first);
    names = naming([{ kind: 'exec', value: mail, at }, ...tooMany()]);
    ownerOf(firstSocket);
    const fresh = machine.path('fresh');
    machine.writeFile(fresh);
    const [process, socket] = started(fresh);
    machine.exec(process, mail);
    const because = 'its process runs another program, and its executable is not known';
    expect(ownerOf(socket)).toMatchObject({ kind: 'unknown', because });
  });

  it('CreatorOwners does not remember that nobody names a file by what it saw a moment ago', () => {
    const [first, firstSocket] = started(other);
    machine.end(first);
    const late = machine.path('late');
    const before = machine.path('before');
    machine.writeFile(before);
    names = naming([...[before, late].map((value) => ({ kind: 'exec', value, at }) as const), ...tooMany()]);
    ownerOf(firstSocket);
    // The very file of a named path is moved to another one.
    machine.moveFile(late, before);
    machine.writeFile(before);
    const [process, socket] = started(late, { command: 'renamed' });
    machine.end(process);
    const soon = ownerOf(socket);
    expect(soon).toMatchObject({ kind: 'unknown' });
    clock.ms += MIN_LOOK_PAUSE_MS * 100;
    expect(ownerOf(socket)).toMatchObject({ executable: late });
  });

  it('CreatorOwners looks again when other files are named', () => {
    const [process, socket] = started(other);
    expect(ownerOf(socket)).toMatchObject({ executable: other, executableUnproven: true });
    names = naming([{ kind: 'exec', value: other, at }]);
    expect(ownerOf(socket)).not.toHaveProperty('executableUnproven');
    machine.end(process);
    expect(ownerOf(socket)).toMatchObject({ executable: other });
    names = naming([]);
    expect(ownerOf(socket)).toMatchObject({ executable: other, executableUnproven: true });
  });

  it.each([
    ['other', false],
    ['python3.11', true],
  ])('CreatorOwners says of one that was called %s and has ended whether it may have run a script', (called, may) => {
    machine.marks.setScriptStarts('seen');
    const program = machine.path(called);
    machine.writeFile(program);
    names = naming([{ kind: 'script', value: machine.path('x.py'), at }]);
    const [process, socket] = started(program);
    machine.end(process);
    expect(ownerOf(socket)).toMatchObject({ kind: 'process', foundBy: 'former creator' });
    expect('mayHaveRunScript' in (ownerOf(socket) ?? {})).toBe(may);
  });

  it('CreatorOwners believes the kernel that it was a script, or started by an application', () => {
    const script = machine.path('x.py');
    names = naming([{ kind: 'script', value: script, at }], {
      [`script:${script}`]: 3,
      'children:org.example.Mail': 4,
    });
    const process = machine.start(other);
    machine.marks.bindTask(process.pid, process.startTicks, { number: 3, script: true });
    const byScript = machine.makeSocket(process);
    machine.marks.bindTask(process.pid, process.startTicks, { number: 4, script: false });
    const byParent = machine.makeSocket(process);
    machine.end(process);
    expect(ownerOf(byScript)).toMatchObject({ kind: 'process', script, foundBy: 'former creator' });
    expect(ownerOf(byParent)).toMatchObject({ kind: 'process', childOf: 'org.example.Mail' });
  });

  it.each([PROGRAM_NONE_FIRST, NONE])(
    'CreatorOwners asks the file although the number %i said that nobody names it',
    (number) => {
      mark(mail, number);
      const [, socket] = started(mail);
      expect(ownerOf(socket)).toMatchObject({ executable: mail });
      expect(ownerOf(socket)).not.toHaveProperty('executableUnproven');
    },
  );

  it('CreatorOwners leaves the sockets of init to those who hold them', () => {
    const process = { ...machine.start(mail), pid: 1 };
    const record = machine.marks.creatorOf(machine.makeSocket(machine.start(mail)).cookie ?? 0n);
    if (record === undefined) throw new Error();
    const { marks, proc } = machine;
    const asInit = {
      counts: () => marks.counts(),
      keyOfFile: (path: string) => marks.keyOfFile(path),
      programOf: () => undefined,
      programOfFile: () => undefined,
      released: () => [],
      releasedBy: () => undefined,
      creatorOf: () => ({ ...record, pid: process.pid }),
    };
    const owners = new CreatorOwners({ marks: asInit, proc, reader: new ProcessReader(proc, undefined) });
    expect(owners.ownerOf({ inode: 1, uid: 0, cookie: 1n }, names)).toBeUndefined();
  });

  // Whichever this machine has.
  const broker = BROKERS.find((path) => existsSync(path)) ?? '';
  it.skipIf(broker === '')(
    'CreatorOwners leaves the sockets of a broker to those who hold them, not those of one who says so',
    () => {
      const [, socket] = started(broker);
      expect(ownerOf(socket)).toBeUndefined();
      const [, its] = started(other, { link: broker });
      expect(ownerOf(its)).toMatchObject({ kind: 'process', executable: broker, executableUnproven: true });
    },
  );

  it('CreatorOwners.released() has what the user closed at a port, and who made it, whatever others close there', () => {
    const [, socket] = started(mail, { uid: 1000 });
    const others = [1, 2].map(() => machine.makeSocket(machine.start(other, { uid: 1001 })));
    for (const each of [socket, ...others]) {
      if (each.cookie === undefined) throw new RangeError('no cookie');
      machine.marks.closeSocket({ cookie: each.cookie }, { protocol: IPPROTO_UDP, port: 40_000 });
    }
    const address = { family: 4, value: 0n } as const;
    const flow: Flow = {
      ...{ protocol: IPPROTO_UDP, source: address, destination: address, loopback: false },
      ...{ sourcePort: 40_000, destinationPort: 80 },
    };
    const cookies = (uid: number) => creators.released(flow, 0, uid).map(({ cookie }) => cookie);
    expect(cookies(1000)).toEqual([socket, ...others.toReversed()].map(({ cookie }) => cookie));
    expect(cookies(1001)).toEqual(others.toReversed().map(({ cookie }) => cookie));
    const [own] = creators.released(flow, 0, 1000);
    if (own?.creator === undefined) throw new RangeError('nothing is kept of who made it');
    // Where it is not to be found by its cookie any more.
    expect(ownerOf({ inode: 0, uid: 1000, creator: own.creator })).toMatchObject({ executable: mail });
  });
});
