import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeMachine } from '../../test/contract/fake-machine.ts';
import { CreatorOwners } from '../identify/creator-owner.ts';
import { policyNames } from '../identify/policy-names.ts';
import { ProcessReader } from '../identify/process-reader.ts';
import type { FakeProcess } from '../kernel/fake/fake-socket-marks.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import type { Programs } from '../plan/host.ts';
import { namedPrograms, programName } from '../plan/program.ts';
import { MARK_APP, MARK_SOCKET, PROGRAM_DAEMON, PROGRAM_NONE_COUNT, PROGRAM_NONE_FIRST } from '../plan/reserved.ts';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import type { Owner } from '../policy/identity.ts';
import { indexApps } from '../policy/match-app.ts';
import { builtinSystemDefault } from '../policy/validate-system-default.ts';
import { assignIds, emptyRegister, type IdRegister } from '../store/id-register.ts';
import type { InForce } from './in-force.ts';
import { KnownPrograms } from './known-programs.ts';
import type { VerdictEvent } from './verdict-loop.ts';

const at = { file: 'a.yaml', line: 1, column: 1 };
const refusal = new KernelError('open raw tracepoint', 1, 'EPERM', '', '');

interface AppOptions {
  readonly exec?: readonly string[];
  readonly script?: readonly string[];
  readonly cgroup?: readonly string[];
  readonly children?: boolean;
}

function app(name: string, { exec = [], script = [], cgroup = [], children = false }: AppOptions): EffectivePolicy {
  return {
    app: name,
    match: [
      ...exec.map((value) => ({ kind: 'exec', value, at }) as const),
      ...script.map((value) => ({ kind: 'script', value, at }) as const),
      ...cgroup.map((value) => ({ kind: 'cgroup', value, at }) as const),
    ],
    rules: [],
    files: [],
    ...(children && { children: { value: { are: 'same', at }, layer: 'administrator' } as const }),
  };
}

/** Policies to what is in force, numbers given as the store gives them. */
class Policies {
  #register: IdRegister;
  #epoch = 0;
  #revision = 0;
  #programs: Programs | undefined;

  constructor(lastNumber = 500) {
    this.#register = emptyRegister(1, lastNumber);
  }

  countStart(): void {
    this.#programs = undefined;
  }

  with(...apps: readonly EffectivePolicy[]): InForce {
    const policySet = { apps, systemDefault: builtinSystemDefault, uplinks: [] };
    const index = indexApps(policySet);
    const names = [...namedPrograms(index)].map(({ program }) => programName(program));
    const { register } = assignIds(this.#register, names);
    if (register !== this.#register || this.#programs === undefined) {
      this.#register = register;
      this.#epoch += 1;
      const none = PROGRAM_NONE_FIRST + (this.#epoch % PROGRAM_NONE_COUNT);
      this.#programs = { numbers: register.inUse, none };
    }
    this.#revision += 1;
    // As much of it as is looked at.
    return {
      policySet,
      index,
      ids: { programs: this.#programs },
      snapshot: { revision: this.#revision },
      machine: { facts: { containers: new Map() }, host: { cgroups: [], queue: 'nft' } },
    } as unknown as InForce;
  }
}

const numberIn = (mark: number): number => ((mark & MARK_SOCKET) === 0 ? 0 : mark & MARK_APP & ~MARK_SOCKET);

/** The daemon with its thread that decides, on a machine. */
class Bed implements Disposable {
  readonly machine: FakeMachine;
  programs: KnownPrograms;
  readonly policies: Policies;
  inForce: InForce;
  tellsScripts = true;
  readonly #creators: CreatorOwners;
  readonly #clock = { ms: 0 };

  constructor(options: { readonly inheritance?: boolean; readonly lastNumber?: number } = {}) {
    const { inheritance = true, lastNumber } = options;
    this.machine = new FakeMachine(inheritance ? {} : { inheritanceRefusal: refusal });
    this.policies = new Policies(lastNumber);
    this.inForce = this.policies.with();
    const { marks, proc, cgroups } = this.machine;
    this.#creators = new CreatorOwners({
      marks,
      proc,
      reader: new ProcessReader(proc, cgroups, () => this.#clock.ms),
      monotonicMs: () => this.#clock.ms,
    });
    this.programs = new KnownPrograms({
      marks,
      proc,
      cgroups,
      tellsScripts: () => this.tellsScripts,
      monotonicMs: () => this.#clock.ms,
    });
    this.programs.follow(this.inForce);
  }

  file(name: string): string {
    const path = this.machine.path(name);
    this.machine.writeFile(path);
    return path;
  }

  apply(...apps: readonly EffectivePolicy[]): void {
    this.programs.beginChange();
    this.inForce = this.policies.with(...apps);
    this.programs.follow(this.inForce);
  }

  /** Another daemon finds what the one before has left in the kernel. Its start counts as a change of what is named. */
  restart(...apps: readonly EffectivePolicy[]): void {
    this.killDaemon();
    this.inForce = this.policies.with(...apps);
    this.programs.follow(this.inForce);
  }

  /** The next one has not told anything yet. */
  killDaemon(): void {
    const { marks, proc, cgroups } = this.machine;
    this.programs = new KnownPrograms({
      marks,
      proc,
      cgroups,
      tellsScripts: () => this.tellsScripts,
      monotonicMs: () => this.#clock.ms,
    });
    this.policies.countStart();
  }

  pass(ms: number): void {
    this.#clock.ms += ms;
  }

  numberOf(process: FakeProcess): number {
    return numberIn(this.machine.makeSocket(process).mark);
  }

  nameOf(process: FakeProcess): string | undefined {
    const number = this.numberOf(process);
    if (number === this.none) return 'none';
    return [...this.inForce.ids.programs.numbers].find(([, other]) => other === number)?.[0];
  }

  get none(): number {
    return this.inForce.ids.programs.none;
  }

  /** What the slow path says about a new socket of the process. */
  event(process: FakeProcess, decidedBy: InForce = this.inForce): VerdictEvent {
    const names = policyNames(decidedBy.index, decidedBy.ids.programs);
    const socket = this.machine.makeSocket(process);
    const owner: Owner = this.#creators.ownerOf(socket, names) ?? { kind: 'unknown', because: 'brokered' };
    // As much of it as is looked at.
    return { owner, revision: decidedBy.snapshot.revision } as unknown as VerdictEvent;
  }

  ask(process: FakeProcess): void {
    this.pass(1000);
    this.programs.note(this.event(process));
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
  }
}

let bed: Bed;
let opened: Bed[];

function open(options?: ConstructorParameters<typeof Bed>[0]): Bed {
  const made = new Bed(options);
  opened.push(made);
  return made;
}

beforeEach(() => {
  opened = [];
  bed = open();
});

afterEach(() => {
  for (const each of opened) each[Symbol.dispose]();
});

describe('KnownPrograms', () => {
  it('KnownPrograms marks named files by their numbers, before anybody asks', () => {
    const [mail, other] = [bed.file('mail'), bed.file('other')];
    bed.apply(app('mail', { exec: [mail] }));
    expect(bed.nameOf(bed.machine.start(mail))).toBe(`exec:${mail}`);
    expect(bed.nameOf(bed.machine.start(other))).toBe('none');
    bed.apply();
    expect(bed.nameOf(bed.machine.start(mail))).toBe('none');
  });

  it('KnownPrograms has the kernel say nobody of what is called as no named file is, and learns of others by asking', () => {
    const [other, namesake] = [bed.file('other'), bed.file('elsewhere/mail')];
    bed.apply(app('mail', { exec: [bed.file('mail')] }));
    expect(bed.nameOf(bed.machine.start(other))).toBe('none');
    const process = bed.machine.start(namesake);
    expect(bed.numberOf(process)).toBe(0);
    bed.ask(process);
    expect(bed.nameOf(process)).toBe('none');
  });

  it('KnownPrograms says nobody in any cgroup, or where policies speak of cgroups in those that are known', () => {
    const [other, mail] = [bed.file('other'), bed.file('mail')];
    const elsewhere = { cgroupId: 99n };
    bed.apply(app('mail', { exec: [mail] }));
    expect(bed.nameOf(bed.machine.start(other, elsewhere))).toBe('none');
    bed.apply(app('mail', { exec: [mail], cgroup: ['/named'] }));
    expect(bed.nameOf(bed.machine.start(other))).toBe('none');
    expect(bed.numberOf(bed.machine.start(other, elsewhere))).toBe(0);
  });

  it('KnownPrograms says nobody in no cgroup that is not known while a plan is being applied, which may speak of it', () => {
    const [other, mail] = [bed.file('other'), bed.file('mail')];
    bed.apply(app('mail', { exec: [mail] }));
    const [here, elsewhere] = [bed.machine.start(other), bed.machine.start(other, { cgroupId: 99n })];
    bed.programs.beginChange();
    expect(bed.nameOf(here)).toBe('none');
    expect(bed.numberOf(elsewhere)).toBe(0);
    // It was refused: what was in force is.
    bed.programs.follow(bed.inForce);
    expect(bed.nameOf(elsewhere)).toBe('none');
  });

  it('KnownPrograms has those asked about that open sockets for others', () => {
    bed.apply(app('mail', { exec: [bed.file('mail')] }));
    expect(bed.numberOf(bed.machine.start(bed.file('systemd')))).toBe(0);
    expect(bed.numberOf(bed.machine.start(bed.file('xinetd')))).toBe(0);
  });

  it('KnownPrograms never takes a broker for nobody’s, whatever its file is called, and however often it has made sockets', () => {
    const real = bed.file('elsewhere/inetd-2.0');
    const { marks } = bed.machine;
    const programFile = marks.programFile.bind(marks);
    Reflect.set(marks, 'programFile', (path: string) => programFile(path === '/usr/sbin/inetd' ? real : path));
    bed.apply(app('mail', { exec: [bed.file('mail')] }));
    const broker = bed.machine.start(real);
    for (let time = 0; time < 3; time++) {
      expect(bed.numberOf(broker)).toBe(0);
      bed.pass(1000);
      bed.programs.noteStrangers();
      bed.machine.writeFile(real);
      expect(bed.numberOf(bed.machine.start(real))).toBe(0);
    }
    Reflect.deleteProperty(marks, 'programFile');
  });

  it('KnownPrograms has the children told of what may be an application with children, whatever was done to its file', () => {
    const [mail, other] = [bed.file('mail'), bed.file('other')];
    bed.apply(app('mail', { exec: [mail], children: true }));
    const child = (path: string) => bed.machine.exec(bed.machine.fork(bed.machine.start(path)), other);
    expect(bed.nameOf(child(mail))).toBe('children:mail');
    // Another key: by a link, and then by another file.
    bed.machine.linkFile(bed.machine.path('elsewhere'), mail);
    expect(bed.numberOf(child(mail))).toBe(0);
    expect(bed.numberOf(child(bed.machine.path('elsewhere')))).toBe(0);
    bed.programs.look();
    expect(bed.nameOf(child(mail))).toBe('children:mail');
    bed.machine.writeFile(mail);
    expect(bed.numberOf(child(mail))).toBe(0);
    bed.programs.look();
    expect(bed.nameOf(child(mail))).toBe('children:mail');
    expect(bed.nameOf(bed.machine.start(other))).toBe('none');
  });

  it('KnownPrograms says nobody of nothing where the kernel refuses the names, until it takes them', () => {
    const { marks } = bed.machine;
    const process = bed.machine.start(bed.file('other'));
    Reflect.set(marks, 'setNamed', () => {
      throw refusal;
    });
    expect(() => bed.apply(app('mail', { exec: [bed.file('mail')] }))).toThrow(refusal);
    bed.programs.scriptsChanged();
    expect(bed.numberOf(process)).toBe(0);
    Reflect.deleteProperty(marks, 'setNamed');
    bed.programs.follow(bed.inForce);
    expect(bed.nameOf(process)).toBe('none');
  });

  it('KnownPrograms knows names to which links lead, and those that they lead to since it looked', () => {
    const [first, second] = [bed.file('vim.tiny'), bed.file('vim.nox')];
    const vim = bed.machine.path('vim');
    bed.machine.switchLink(vim, first);
    bed.apply(app('vim', { exec: [vim] }));
    bed.machine.writeFile(first);
    expect(bed.numberOf(bed.machine.start(first))).toBe(0);
    expect(bed.nameOf(bed.machine.start(second))).toBe('none');
    bed.machine.switchLink(vim, second);
    bed.programs.look();
    bed.machine.writeFile(second);
    expect(bed.numberOf(bed.machine.start(second))).toBe(0);
  });

  it('KnownPrograms has a file asked about that comes to be under a named path by a move, whoever runs it', () => {
    const [mail, other] = [bed.file('mail'), bed.file('other')];
    bed.apply(app('mail', { exec: [mail] }));
    const process = bed.machine.start(other);
    expect(bed.nameOf(process)).toBe('none');
    bed.machine.moveFile(mail, other);
    expect(bed.numberOf(process)).toBe(0);
    bed.ask(process);
    expect(bed.nameOf(process)).toBe(`exec:${mail}`);
  });

  it('KnownPrograms lets what nobody named before be named, and its number of before counts no more', () => {
    const other = bed.file('other');
    bed.apply(app('mail', { exec: [bed.file('mail')] }));
    const process = bed.machine.start(other);
    bed.ask(process);
    const before = bed.numberOf(process);
    bed.apply(app('other', { exec: [other] }));
    expect(bed.nameOf(process)).toBe(`exec:${other}`);
    bed.apply(app('third', { exec: [bed.file('third')] }));
    expect([0, bed.none]).not.toContain(before);
    expect(bed.nameOf(process)).toBe('none');
  });

  it('KnownPrograms keeps what nobody names over a change that is not about it', () => {
    const [mail, other] = [bed.file('mail'), bed.file('other')];
    bed.apply(app('mail', { exec: [mail] }));
    const process = bed.machine.start(other);
    bed.ask(process);
    const none = bed.none;
    bed.apply(app('mail', { exec: [mail] }), app('third', { exec: [bed.file('third')] }));
    expect(bed.none).not.toBe(none);
    expect(bed.nameOf(process)).toBe('none');
  });

  it('KnownPrograms goes on marking what runs a replaced file, and learns the new one by asking or by looking', () => {
    const mail = bed.file('mail');
    bed.apply(app('mail', { exec: [mail] }));
    const old = bed.machine.start(mail);
    bed.machine.writeFile(mail);
    const fresh = bed.machine.start(mail);
    expect(bed.numberOf(fresh)).toBe(0);
    bed.ask(fresh);
    expect(bed.nameOf(fresh)).toBe(`exec:${mail}`);
    bed.machine.writeFile(mail);
    bed.programs.look();
    expect(bed.nameOf(bed.machine.start(mail))).toBe(`exec:${mail}`);
    // Its key is another since it has no name any more.
    bed.programs.note({ ...bed.event(old) });
    expect(bed.nameOf(old)).not.toBe('none');
  });

  it('KnownPrograms learns nothing from decisions by other policies, or while a plan is being applied', () => {
    const other = bed.file('other');
    const process = bed.machine.start(other);
    const early = bed.event(process);
    bed.apply(app('other', { exec: [other] }));
    const key = bed.machine.marks.keyOfFile(other) ?? fail();
    bed.machine.marks.forgetExecutable(key);
    bed.programs.note(early);
    expect(bed.machine.marks.programOf(key)).toBeUndefined();
    const third = bed.machine.start(bed.file('elsewhere/other'));
    const late = bed.event(third);
    bed.apply(app('other', { exec: [other] }));
    bed.programs.note(late);
    expect(bed.numberOf(third)).toBe(0);
    bed.programs.beginChange();
    bed.ask(third);
    bed.programs.look();
    expect(bed.numberOf(third)).toBe(0);
    bed.programs.follow(bed.inForce);
    bed.ask(third);
    expect(bed.nameOf(third)).toBe('none');
  });

  it('KnownPrograms finds out by looking that a path leads elsewhere, once the last change is over', () => {
    const [first, second] = [bed.file('first'), bed.file('second')];
    const mail = bed.machine.path('mail');
    bed.machine.switchLink(mail, first);
    bed.apply(app('mail', { exec: [mail] }));
    const process = bed.machine.start(second);
    bed.ask(process);
    expect(bed.nameOf(process)).toBe('none');
    bed.machine.switchLink(mail, second);
    bed.programs.look();
    expect(bed.nameOf(process)).toBe(`exec:${mail}`);
  });

  it('KnownPrograms never says nobody of a file that has got a named one’s name besides its own', () => {
    const mail = bed.file('mail');
    bed.apply(app('mail', { exec: [mail] }));
    bed.machine.writeFile(mail);
    // The thread that decides has looked at the files just before that, and so cannot tell.
    const elsewhere = bed.machine.path('elsewhere');
    bed.machine.linkFile(elsewhere, mail);
    bed.programs.look();
    const { marks } = bed.machine;
    const key = marks.keyOfFile(mail);
    const owner: Owner = { kind: 'process', pid: 5, uid: 0, executable: elsewhere, executableUnproven: true };
    bed.machine.linkFile(bed.machine.path('third'), mail);
    const later = marks.keyOfFile(mail);
    for (const executableKey of [key, later]) {
      if (executableKey === undefined) throw new Error();
      const event = { owner: { ...owner, executableKey }, revision: bed.inForce.snapshot.revision };
      bed.programs.note(event as unknown as VerdictEvent);
    }
    expect(bed.nameOf(bed.machine.start(mail))).not.toBe('none');
  });

  it('KnownPrograms gives a file with two names to the first of the policies, whatever is found later', () => {
    const mail = bed.file('mail');
    const other = bed.machine.path('other');
    bed.machine.linkFile(other, mail);
    const [first, second] = [app('a', { exec: [mail] }), app('b', { exec: [other] })];
    bed.apply(first, second);
    const process = bed.machine.start(other);
    expect(bed.nameOf(process)).toBe(`exec:${mail}`);
    bed.programs.look();
    expect(bed.nameOf(process)).toBe(`exec:${mail}`);
    bed.apply(second);
    bed.programs.look();
    expect(bed.nameOf(process)).toBe(`exec:${other}`);
    bed.apply(first, second);
    expect(bed.nameOf(process)).toBe(`exec:${mail}`);
    bed.apply(first);
    bed.ask(process);
    expect(bed.nameOf(process)).toBe(`exec:${mail}`);
  });

  it('KnownPrograms keeps a file that two policies name named while one of them is left, however they came', () => {
    const [first, second] = [bed.file('first'), bed.file('second')];
    const policies = [app('first', { exec: [first] }), app('second', { exec: [second] })];
    bed.apply(...policies);
    bed.machine.linkFile(second, first);
    bed.programs.look();
    const running = bed.machine.start(first);
    expect(bed.nameOf(running)).toBe(`exec:${first}`);
    bed.apply(...policies.slice(1));
    expect(bed.nameOf(running)).toBe(`exec:${second}`);
  });

  it('KnownPrograms tells names to which links lead although the file there has another named one, too', () => {
    const target = bed.file('target');
    const [link, other] = [bed.machine.path('link'), bed.machine.path('other')];
    bed.machine.linkFile(other, target);
    bed.machine.switchLink(link, target);
    bed.apply(app('other', { exec: [other] }), app('link', { exec: [link] }));
    bed.machine.writeFile(target);
    expect(bed.nameOf(bed.machine.start(target))).toBeUndefined();
  });

  it('KnownPrograms tells the name of what a link leads to again, once it was led elsewhere and back', () => {
    const [old, fresh] = [bed.file('old'), bed.file('fresh')];
    const link = bed.machine.path('link');
    bed.machine.switchLink(link, old);
    bed.apply(app('link', { exec: [link] }));
    for (const target of [fresh, old]) {
      bed.machine.switchLink(link, target);
      bed.programs.look();
    }
    bed.machine.writeFile(old);
    expect(bed.nameOf(bed.machine.start(old))).toBeUndefined();
  });

  it('KnownPrograms tells names of files that are not there yet where links lead', () => {
    const link = bed.machine.path('link');
    bed.machine.switchLink(link, bed.machine.path('first'));
    bed.apply(app('link', { exec: [link] }));
    expect(bed.nameOf(bed.machine.start(bed.file('first')))).toBeUndefined();
    bed.machine.removeFile(bed.machine.path('first'));
    bed.machine.switchLink(link, bed.machine.path('later'));
    bed.programs.look();
    expect(bed.nameOf(bed.machine.start(bed.file('later')))).toBeUndefined();
  });

  it('KnownPrograms says nobody of nothing as long as a named program has no number', () => {
    bed = open({ lastNumber: 1 });
    const [mail, other] = [bed.file('mail'), bed.file('other')];
    const process = bed.machine.start(other);
    bed.apply(app('mail', { exec: [mail] }));
    bed.ask(process);
    expect(bed.nameOf(process)).toBe('none');
    bed.apply(app('mail', { exec: [mail] }), app('other', { exec: [other] }));
    expect(bed.inForce.ids.programs.numbers.size).toBe(1);
    expect(bed.nameOf(process)).not.toBe('none');
    bed.ask(process);
    expect(bed.nameOf(process)).not.toBe('none');
  });

  it('KnownPrograms says nobody of no interpreter while starts of scripts are not seen', () => {
    const [python, other] = [bed.file('python3'), bed.file('other')];
    bed.apply(app('x', { script: [bed.file('x.py')] }));
    const processes = [python, other].map((path) => bed.machine.start(path));
    const names = (): (string | undefined)[] => {
      for (const process of processes) bed.ask(process);
      return processes.map((process) => bed.nameOf(process));
    };
    expect(names()).toEqual(['none', 'none']);
    bed.tellsScripts = false;
    bed.programs.scriptsChanged();
    expect(names()[0]).toBeUndefined();
    bed.tellsScripts = true;
    bed.programs.scriptsChanged();
    expect(names()).toEqual(['none', 'none']);
    bed.tellsScripts = false;
    bed.apply();
    expect(names()).toEqual(['none', 'none']);
  });

  it('KnownPrograms does not believe a process that its interpreter is none, nor takes one without a name for none', () => {
    const python = bed.file('python3');
    bed.apply(app('x', { script: [bed.file('x.py')] }));
    bed.tellsScripts = false;
    bed.programs.scriptsChanged();
    const process = bed.machine.start(python);
    bed.ask(bed.machine.start(python, { link: '/home/eve/game' }));
    expect(bed.nameOf(process)).not.toBe('none');
    bed.ask(bed.machine.start(python, { link: '/usr/bin/env' }));
    expect(bed.nameOf(process)).not.toBe('none');
    const perl = bed.file('perl');
    const ended = bed.machine.start(perl);
    const event = bed.event(ended);
    bed.machine.end(ended);
    bed.pass(1000);
    const { executable: _, ...owner } = event.owner as Extract<Owner, { readonly kind: 'process' }>;
    bed.programs.note({ ...event, owner });
    expect(bed.nameOf(bed.machine.start(perl))).not.toBe('none');
  });

  it('KnownPrograms opens no file where anybody may make one', () => {
    const process = bed.machine.start(bed.file('other'), { link: '/home/eve/slow' });
    const event = bed.event(process);
    const opened: string[] = [];
    Reflect.set(bed.machine.marks, 'keyOfFile', (path: string) => void opened.push(path));
    bed.programs.note(event);
    Reflect.deleteProperty(bed.machine.marks, 'keyOfFile');
    expect(opened.filter((path) => path.startsWith('/home/'))).toEqual([]);
    expect(bed.nameOf(process)).toBe('none');
  });

  it('KnownPrograms says nobody where it is certain that a program runs no scripts, although their starts are not seen', () => {
    bed.apply(app('x', { script: [bed.file('x.py')] }));
    bed.tellsScripts = false;
    const process = bed.machine.start('/usr/bin/env');
    bed.ask(process);
    expect(bed.nameOf(process)).toBe('none');
  });

  it('KnownPrograms says nobody of nothing while the kernel does not follow what applications start', () => {
    bed = open({ inheritance: false });
    const [mail, other] = [bed.file('mail'), bed.file('other')];
    bed.apply(app('mail', { exec: [mail] }));
    const process = bed.machine.start(other);
    bed.ask(process);
    expect(bed.nameOf(process)).toBe('none');
    bed.apply(app('mail', { exec: [mail], children: true }));
    bed.ask(process);
    expect(bed.nameOf(process)).toBeUndefined();
    expect(bed.nameOf(bed.machine.start(mail))).toBe(`exec:${mail}`);
    bed.apply(app('mail', { exec: [mail] }));
    bed.ask(process);
    expect(bed.nameOf(process)).toBe('none');
  });

  it('KnownPrograms has children told that start after their application came to be followed', () => {
    const [mail, other] = [bed.file('mail'), bed.file('other')];
    bed.ask(bed.machine.start(other));
    const running = bed.machine.start(mail);
    bed.apply(app('mail', { exec: [mail], children: true }));
    const child = () => bed.machine.exec(bed.machine.fork(running), other);
    expect(bed.nameOf(child())).toBe('children:mail');
    expect(bed.nameOf(running)).toBe(`exec:${mail}`);
    expect(bed.nameOf(bed.machine.start(other))).not.toBe('children:mail');
  });

  it('KnownPrograms has children told of an application that was started from a new file before that was known', () => {
    const [mail, other] = [bed.file('mail'), bed.file('other')];
    bed.apply(app('mail', { exec: [mail], children: true }));
    bed.ask(bed.machine.start(other));
    bed.machine.writeFile(mail);
    const running = bed.machine.start(mail);
    const early = bed.machine.exec(bed.machine.fork(running), other);
    bed.programs.look();
    expect(bed.nameOf(bed.machine.exec(bed.machine.fork(running), other))).toBe('children:mail');
    expect(bed.nameOf(early)).toBe('children:mail');
  });

  it('KnownPrograms leaves a process its script, whoever started it', () => {
    const [mail, python] = [bed.file('mail'), bed.file('python3')];
    const script = bed.file('x.py');
    const running = bed.machine.start(mail);
    const process = bed.machine.exec(bed.machine.fork(running), python);
    bed.apply(app('x', { script: [script] }));
    const number = bed.inForce.ids.programs.numbers.get(`script:${script}`) ?? fail();
    bed.machine.marks.bindTask(process.pid, process.startTicks, { number, script: true });
    bed.apply(app('mail', { exec: [mail], children: true }), app('x', { script: [script] }));
    expect(bed.nameOf(process)).toBe(`script:${script}`);
    expect(bed.nameOf(bed.machine.exec(bed.machine.fork(running), python))).toBe('children:mail');
  });

  it('KnownPrograms has children told of an application whose file was replaced while it ran', () => {
    const [mail, other] = [bed.file('mail'), bed.file('other')];
    bed.apply(app('mail', { exec: [mail] }));
    bed.ask(bed.machine.start(other));
    const running = bed.machine.start(mail);
    const early = bed.machine.exec(bed.machine.fork(running), other);
    // By a link the file keeps a name, and so its key: what a package manager does is the other case.
    bed.machine.switchLink(mail, bed.file('new'));
    bed.apply(app('mail', { exec: [mail], children: true }));
    expect(bed.nameOf(early)).toBe('children:mail');
    expect(bed.nameOf(bed.machine.exec(bed.machine.fork(running), other))).toBe('children:mail');
  });

  it('KnownPrograms does not count a cgroup as known where the kernel’s maps do not tell what policies say about it', () => {
    const [mail, other] = [bed.file('mail'), bed.file('other')];
    const fresh = (host: InForce['machine']['host']): string | undefined => {
      const { marks, proc, cgroups } = bed.machine;
      const programs = new KnownPrograms({ marks, proc, cgroups, tellsScripts: () => true });
      // What was known is of the tests before.
      Reflect.set(marks, 'addCgroup', (id: bigint) => added.push(id));
      const inForce = bed.policies.with(app('a', { exec: [mail], cgroup: ['/apps'] }));
      bed.inForce = { ...inForce, machine: { ...inForce.machine, host } };
      programs.follow(bed.inForce);
      programs.note(bed.event(bed.machine.start(other)));
      return String(added.splice(0));
    };
    const added: bigint[] = [];
    expect(fresh({ cgroups: [], queue: 'nft' })).toBe('1');
    expect(fresh({ cgroups: [{ path: '/apps', id: 2n, level: 1 }], queue: 'nft' })).toBe('1,2');
  });

  it('KnownPrograms learns nothing where the kernel took only a part, and tells all of it at the next call', () => {
    const [mail, other] = [bed.file('mail'), bed.file('other')];
    const { marks } = bed.machine;
    const running = bed.machine.start(mail);
    const process = bed.machine.start(other);
    bed.ask(process);
    expect(bed.nameOf(process)).toBe('none');
    Reflect.set(marks, 'setExecutable', () => {
      throw refusal;
    });
    expect(() => bed.apply(app('mail', { exec: [mail], children: true }), app('other', { exec: [other] }))).toThrow(
      refusal,
    );
    Reflect.deleteProperty(marks, 'setExecutable');
    expect(bed.nameOf(process)).not.toBe('none');
    bed.ask(bed.machine.start(bed.file('third')));
    expect(bed.nameOf(bed.machine.start(bed.machine.path('third')))).not.toBe('none');
    bed.programs.follow(bed.inForce);
    expect(bed.nameOf(process)).toBe(`exec:${other}`);
    expect(bed.nameOf(bed.machine.exec(bed.machine.fork(running), bed.machine.path('third')))).toBe('children:mail');
  });

  it('KnownPrograms marks the daemon itself, and nothing that it starts', () => {
    const { marks, proc } = bed.machine;
    const startTicks = proc.stat(process.pid)?.startTimeTicks ?? 0;
    expect(marks.taskOf(process.pid, startTicks)).toEqual({ number: PROGRAM_DAEMON, script: true });
  });
});

function fail(): never {
  throw new Error('there is no such file');
}

/** What may happen, in any order. */
const PLACES = ['a', 'b', 'c', 'python3'] as const;
const place = fc.constantFrom(...PLACES);
const apps = fc.array(
  fc.record({
    exec: fc.subarray([...PLACES, 'link']),
    script: fc.subarray(['x.py']),
    children: fc.boolean(),
  }),
  { maxLength: 2 },
);
type Step =
  | {
      readonly do: 'policies';
      readonly apps: readonly AppOptions[];
      readonly meanwhile: readonly Step[];
      readonly isRestart: boolean;
    }
  | { readonly do: 'write' | 'remove' | 'upgrade' | 'switch'; readonly at: string }
  | { readonly do: 'start'; readonly at: string; readonly deceive?: string | undefined }
  | { readonly do: 'link' | 'move'; readonly at: string; readonly from: string }
  | { readonly do: 'fork' | 'end' | 'ask' | 'hear'; readonly which: number }
  | { readonly do: 'exec'; readonly which: number; readonly at: string }
  | { readonly do: 'look' | 'wait' }
  | { readonly do: 'gate'; readonly tells: boolean };

const which = fc.nat(20);
const simple: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('write', 'remove', 'upgrade', 'switch'), at: place }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('link', 'move'), at: place, from: place }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('start' as const),
      at: place,
      deceive: fc.option(fc.constantFrom('a', '/usr/bin/env'), { nil: undefined, freq: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('fork', 'end'), which }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('ask', 'hear'), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('exec' as const), which, at: place }) },
  fc.record({ do: fc.constantFrom('look', 'wait') }),
  fc.record({ do: fc.constant('gate' as const), tells: fc.boolean() }),
) as fc.Arbitrary<Step>;
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 7, arbitrary: simple },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('policies' as const),
      apps,
      meanwhile: fc.array(simple, { maxLength: 3 }),
      isRestart: fc.boolean(),
    }),
  },
);

const changesFiles = (step: Step): boolean =>
  step.do === 'policies'
    ? step.meanwhile.some(changesFiles)
    : ['switch', 'move', 'write', 'upgrade', 'link', 'remove'].includes(step.do);

/** A path comes to have another file, which may have had another name. */
const movesNames = (step: Step): boolean =>
  step.do === 'policies' ? step.meanwhile.some(movesNames) : ['switch', 'move', 'link'].includes(step.do);

class Story {
  readonly bed: Bed;
  /** By what the kernel's maps tell the numbers. */
  told: InForce;
  decidesBy: InForce;
  nobodies = 0;
  readonly #late: VerdictEvent[] = [];
  /** By pid, in steps: when it was forked, and when it last became another program. */
  readonly #forkedAt = new Map<number, number>();
  readonly #becameAt = new Map<number, number>();
  #steps = 0;

  constructor(inheritance: boolean) {
    this.bed = new Bed({ inheritance });
    this.told = this.bed.inForce;
    this.decidesBy = this.told;
    for (const name of PLACES) this.bed.file(name);
    this.bed.file('x.py');
    this.bed.machine.switchLink(this.#path('link'), this.#path('a'));
  }

  #path(name: string): string {
    return name.startsWith('/') ? name : this.bed.machine.path(name);
  }

  #process(index: number): FakeProcess | undefined {
    const { processes } = this.bed.machine;
    return processes[index % Math.max(1, processes.length)];
  }

  run(next: Step): void {
    const { bed: own } = this;
    const { machine } = own;
    this.#steps += 1;
    switch (next.do) {
      case 'policies':
        // Where policies name scripts nothing is kept.
        if (next.isRestart && this.told.index.byScript.size === 0) own.killDaemon();
        this.#change(next.apps, next.meanwhile);
        return;
      case 'write':
        machine.writeFile(this.#path(next.at));
        return;
      case 'upgrade':
        machine.writeFile(this.#path(next.at));
        machine.start(this.#path(next.at));
        return;
      case 'remove':
        machine.removeFile(this.#path(next.at));
        return;
      case 'switch':
        machine.switchLink(this.#path('link'), this.#path(next.at));
        return;
      case 'link':
      case 'move': {
        const [path, from] = [this.#path(next.at), this.#path(next.from)];
        if (path === from || !machine.hasFile(from)) return;
        if (next.do === 'link') machine.linkFile(path, from);
        else machine.moveFile(path, from);
        return;
      }
      case 'start': {
        if (!machine.hasFile(this.#path(next.at))) return;
        const link = next.deceive === undefined ? {} : { link: this.#path(next.deceive) };
        machine.start(this.#path(next.at), link);
        return;
      }
      case 'fork': {
        const parent = this.#process(next.which);
        if (parent !== undefined) this.#forkedAt.set(machine.fork(parent).pid, this.#steps);
        return;
      }
      case 'exec': {
        const process = this.#process(next.which);
        if (process === undefined || !machine.hasFile(this.#path(next.at))) return;
        machine.exec(process, this.#path(next.at));
        this.#becameAt.set(process.pid, this.#steps);
        return;
      }
      case 'end': {
        const process = this.#process(next.which);
        if (process !== undefined) machine.end(process);
        return;
      }
      case 'ask': {
        const process = this.#process(next.which);
        if (process === undefined) return;
        const event = own.event(process, this.decidesBy);
        // Some are heard of at once, some later or more than once.
        if (next.which % 2 === 0) own.programs.note(event);
        this.#late.push(event);
        return;
      }
      case 'hear': {
        const event = this.#late[next.which % Math.max(1, this.#late.length)];
        if (event !== undefined) own.programs.note(event);
        return;
      }
      case 'look':
        own.programs.look();
        return;
      case 'wait':
        own.pass(5000);
        return;
      case 'gate':
        own.tellsScripts = next.tells;
        own.programs.scriptsChanged();
        return;
    }
  }

  #change(options: readonly AppOptions[], meanwhile: readonly Step[]): void {
    const { bed: own } = this;
    const policies = options.map(({ exec = [], script = [], children = false }, i) =>
      app(`app${i}`, {
        exec: exec.map((name) => this.#path(name)),
        script: script.map((name) => this.#path(name)),
        children,
      }),
    );
    const wanted = own.policies.with(...policies);
    // The thread that decides has it first, then the kernel's maps, then what tells programs.
    this.decidesBy = wanted;
    own.programs.beginChange();
    let isSeen = true;
    for (const [i, next] of meanwhile.entries()) {
      if (i === 1) this.told = wanted;
      this.run(next);
      // While policies change nobody looks: it is found afterwards.
      isSeen &&= !changesFiles(next);
      if (isSeen) this.check(next);
    }
    this.told = wanted;
    own.inForce = wanted;
    own.programs.follow(wanted);
  }

  /** No process that a policy names by its file, its script or its ancestors is "nobody" to the kernel. */
  check(after: Step): void {
    const { bed: own, told } = this;
    // A file that is new under a path is told by its name, but not what it has started by then. All else that makes another
    // file of a path is found by looking.
    const isFoundByLooking = movesNames(after) || (changesFiles(after) && told.index.byParent.size > 0);
    if (isFoundByLooking && own.inForce === told) own.programs.look();
    this.#checkFiles();
    this.#checkAncestors();
  }

  get #nobodies(): readonly FakeProcess[] {
    const { machine } = this.bed;
    const { none } = this.told.ids.programs;
    return machine.processes.filter((process) => numberIn(machine.makeSocket(process).mark) === none);
  }

  #namedPathOf(pid: number): string | undefined {
    const { marks, proc } = this.bed.machine;
    const key = marks.keyOfFile(proc.executableLink(pid));
    return key && [...this.told.index.byExecutable.keys()].find((path) => marks.keyOfFile(path) === key);
  }

  #checkFiles(): void {
    for (const { pid } of this.#nobodies) expect([pid, this.#namedPathOf(pid)]).toEqual([pid, undefined]);
  }

  #checkAncestors(): void {
    const { bed: own, told } = this;
    const { machine } = own;
    const { byExecutable, byScript, byParent } = told.index;
    for (const process of this.#nobodies) {
      this.nobodies += 1;
      for (let child = process.pid, pid = machine.proc.stat(child)?.parentPid; pid !== undefined; ) {
        const above = byExecutable.get(this.#namedPathOf(pid) ?? '')?.policy.app ?? '';
        // What became that application only after it had forked the child did not start it as that.
        const hasStarted = (this.#becameAt.get(pid) ?? 0) <= (this.#forkedAt.get(child) ?? 0);
        expect([process.pid, hasStarted && byParent.has(above) && above]).toEqual([process.pid, false]);
        child = pid;
        pid = machine.proc.stat(pid)?.parentPid;
      }
      if (byParent.size > 0) expect(machine.marks.inheritance).toBe(true);
      const link = machine.proc.executable(process.pid) ?? '';
      if (byScript.size > 0 && !own.tellsScripts) expect(link.endsWith('/python3')).toBe(false);
    }
  }
}

describe('KnownPrograms, whatever happens', () => {
  it('KnownPrograms never says nobody of what a policy names', () => {
    let nobodies = 0;
    fc.assert(
      fc.property(fc.boolean(), fc.array(step, { minLength: 5, maxLength: 40 }), (inheritance, steps) => {
        const story = new Story(inheritance);
        try {
          for (const next of steps) {
            story.run(next);
            story.check(next);
          }
          nobodies += story.nobodies;
        } finally {
          story.bed[Symbol.dispose]();
        }
      }),
      { numRuns: 300 },
    );
    // So that nothing passes by never saying it.
    expect(nobodies).toBeGreaterThan(100);
  });
});

describe('KnownPrograms of the next daemon', () => {
  const mail = (): EffectivePolicy => app('mail', { exec: [bed.machine.path('mail')] });

  it('KnownPrograms goes on with a program whose file has been replaced since it was started', () => {
    bed.file('mail');
    bed.apply(mail());
    const running = bed.machine.start(bed.machine.path('mail'));
    bed.file('mail');
    bed.programs.look();
    bed.restart(mail());
    expect(bed.nameOf(running)).toBe(bed.nameOf(bed.machine.start(bed.machine.path('mail'))));
    expect(bed.numberOf(running)).not.toBe(0);
    // It was renamed over once more, while nobody looked.
    bed.file('mail');
    bed.restart(mail());
    expect(bed.nameOf(running)).toBe(`exec:${bed.machine.path('mail')}`);
  });

  it('KnownPrograms knows a stranger that is called as a named program without asking again', () => {
    bed.file('mail');
    bed.apply(mail());
    const namesake = bed.file('elsewhere/mail');
    const stranger = bed.machine.start(namesake);
    expect(bed.numberOf(stranger)).toBe(0);
    bed.ask(stranger);
    expect(bed.nameOf(stranger)).toBe('none');
    const before = bed.none;
    bed.restart(mail());
    expect(bed.none).not.toBe(before);
    expect(bed.nameOf(stranger)).toBe('none');
  });

  it('KnownPrograms does not take for nobody’s what a policy names by now', () => {
    bed.file('mail');
    bed.apply(mail());
    const namesake = bed.file('elsewhere/mail');
    const stranger = bed.machine.start(namesake);
    bed.ask(stranger);
    bed.restart(mail(), app('other', { exec: [namesake] }));
    expect(bed.nameOf(stranger)).toBe(`exec:${namesake}`);
  });

  it('KnownPrograms forgets numbers of programs that nobody names any more', () => {
    bed.file('mail');
    bed.apply(mail());
    const running = bed.machine.start(bed.machine.path('mail'));
    expect(bed.nameOf(running)).toBe(`exec:${bed.machine.path('mail')}`);
    bed.restart();
    expect(bed.machine.marks.executables().size).toBe(0);
    expect(bed.nameOf(running)).toBe('none');
  });
});

describe('KnownPrograms of what links lead to', () => {
  let current: string;
  let versions: readonly string[];
  /** As a load of the files makes it, at that moment. */
  const leadsTo = (path: string): EffectivePolicy => ({
    ...app('mail', {}),
    match: [{ kind: 'exec', value: path, written: current, at }],
  });
  const formerlyOf = (process: FakeProcess): unknown => {
    const { owner } = bed.event(process);
    return owner.kind === 'process' ? owner.formerly : owner.kind;
  };

  beforeEach(() => {
    versions = ['v1', 'v2'].map((name) => bed.file(name));
    current = bed.machine.path('current');
    bed.machine.switchLink(current, versions[0] ?? '');
    bed.apply(leadsTo(versions[0] ?? ''));
  });

  const switchTo = (path = ''): void => {
    bed.machine.switchLink(current, path);
    bed.apply(leadsTo(path));
  };

  it('KnownPrograms has who runs go on being the program when the link is switched, and who starts then asked about', () => {
    const [first = '', second = ''] = versions;
    const running = bed.machine.start(first);
    switchTo(second);
    expect(bed.nameOf(running)).toBe(`exec:${current}`);
    expect(bed.nameOf(bed.machine.start(second))).toBe(`exec:${current}`);
    const late = bed.machine.start(first);
    for (let times = 0; times < 2; times += 1) {
      expect(bed.numberOf(late)).toBe(0);
      expect(formerlyOf(late)).toBe(second);
      bed.ask(late);
    }
    // The policy that it was, whatever has been done to the file since.
    bed.machine.linkFile(bed.machine.path('other'), first);
    const touched = bed.machine.start(bed.machine.path('other'));
    expect([bed.numberOf(touched), formerlyOf(touched)]).toEqual([0, second]);
    switchTo(first);
    expect(bed.nameOf(bed.machine.start(first))).toBe(`exec:${current}`);
  });

  it('KnownPrograms has who ran before it looked go on being the program, and so the next daemon', () => {
    const [first = '', second = ''] = versions;
    bed.apply();
    const running = bed.machine.start(first);
    bed.apply(leadsTo(first));
    bed.machine.switchLink(current, second);
    bed.restart(leadsTo(second));
    expect(bed.nameOf(running)).toBe(`exec:${current}`);
    const late = bed.machine.start(first);
    expect([bed.numberOf(late), formerlyOf(late)]).toEqual([0, second]);
    bed.apply();
    expect(bed.numberOf(running)).not.toBe(
      bed.policies.with(leadsTo(second)).ids.programs.numbers.get(`exec:${current}`),
    );
  });

  it('KnownPrograms has asked about who starts a file that it takes for nobody’s by the name of a link, which may lead there now', () => {
    const [, second = ''] = versions;
    bed.ask(bed.machine.start(second));
    expect(bed.nameOf(bed.machine.start(second))).toBe('none');
    bed.machine.switchLink(current, second);
    const started = bed.machine.start(second, { command: 'current' });
    expect(bed.numberOf(started)).toBe(0);
    expect(bed.event(started).owner).not.toHaveProperty('executableUnproven');
    bed.ask(started);
    expect(bed.nameOf(started)).toMatch('exec:');
  });
});
