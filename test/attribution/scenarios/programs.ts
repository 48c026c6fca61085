/** What a program is, and what it only pretends to be. */
import { chmodSync, chownSync, copyFileSync, existsSync, linkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { makeLabCgroup } from '../../../src/lab/cgroup.ts';
import { type Ended, ended } from '../ended.ts';
import { laidOver } from '../lay-over.ts';
import type { Scenario, Stage } from '../scenario.ts';
import { connections, datagrams4 } from './amounts.ts';

const sends = datagrams4(10);
const udp = { source: 'udp.c', sends } as const;
const other = { name: 'other', source: 'udp.c' } as const;
const POLICY = 'rules:\n  - { to: "*", do: allow }\notherwise: deny';
const SETUID = 0o4755;
/** Where ld.so stands is part of the ABI. */
const LOADER = process.arch === 'arm64' ? '/lib/ld-linux-aarch64.so.1' : '/lib64/ld-linux-x86-64.so.2';

/** The program runs, then `change` happens, then it sends. */
async function sendAfter(stage: Stage, change: () => void): Promise<Ended> {
  const { world, program, args } = stage;
  const child = await world.start(stage, [program, ...args()]);
  change();
  child.stdin?.end('send\n');
  return ended(child);
}

const runOther = (stage: Stage, path: string): Promise<Ended> => stage.world.run(stage, [path, ...stage.args()]);

export const PROGRAMS: readonly Scenario[] = [
  {
    ...udp,
    name: 'deleted',
    what: 'a program whose file is deleted while it runs',
    source: 'udp-when-told.c',
    run: (stage) => sendAfter(stage, () => unlinkSync(stage.program)),
  },
  {
    ...udp,
    name: 'upgraded-old',
    what: 'a program whose file is replaced while it runs, as by an upgrade',
    source: 'udp-when-told.c',
    companions: [other],
    run: (stage) => sendAfter(stage, () => renameSync(stage.companion('other'), stage.program)),
  },
  {
    ...udp,
    name: 'upgraded-new',
    what: 'the program after its file was replaced',
    companions: [other],
    run: (stage) => {
      renameSync(stage.companion('other'), stage.program);
      return runOther(stage, stage.program);
    },
  },
  {
    ...udp,
    name: 'in-memory',
    what: 'a copy of a program that runs from memory (memfd, fexecve)',
    companions: [{ name: 'loader', source: 'run-from-memory.c' }],
    expected: { app: 'no policy' },
    run: (stage) => stage.world.run(stage, [stage.companion('loader'), ...stage.args([stage.program])]),
  },
  {
    ...udp,
    name: 'by-the-loader',
    what: 'a program started through ld.so: what runs is ld.so',
    expected: { app: 'no policy' },
    run: (stage) => stage.world.run(stage, [LOADER, stage.program, ...stage.args()]),
  },
  {
    ...udp,
    name: 'in-disguise',
    what: "a program under another's command name and command line",
    source: 'udp-in-disguise.c',
    more: ({ world }) => [world.stage('udp-connected').program],
  },
  {
    ...udp,
    name: 'hard-link',
    what: "a hard link of a program's file",
    run: (stage) => {
      const link = `${stage.program}.hard-link`;
      if (!existsSync(link)) linkSync(stage.program, link);
      return runOther(stage, link);
    },
  },
  {
    ...udp,
    name: 'symbolic-link',
    what: 'a program started by a symbolic link',
    run: (stage) => {
      const link = `${stage.program}.symbolic-link`;
      if (!existsSync(link)) symlinkSync(stage.program, link);
      return runOther(stage, link);
    },
  },
  {
    ...udp,
    name: 'named-by-link',
    what: 'a program of which the policy names a symbolic link',
    match: ({ program }) => `exec: ${program}.named`,
    prepare: ({ program }) => symlinkSync(program, `${program}.named`),
  },
  {
    ...udp,
    name: 'same-path-elsewhere',
    what: 'another file under the same path, in a mount and pid namespace of its own',
    companions: [other],
    expected: { notAnApplication: 'it is not that file', isAsked: true },
    run: (stage) => {
      const forge = laidOver(stage.companion('other'), stage.program, [stage.program, ...stage.args()]);
      return stage.world.run(stage, ['unshare', '--mount', '--pid', '--fork', ...forge]);
    },
  },
  {
    ...udp,
    name: 'user',
    what: 'a user whom a policy names, by a program that ends at once',
    isStatic: true,
    isBrief: true,
    match: () => 'user: 4245',
    uid: '4245',
  },
  {
    ...udp,
    name: 'setuid-program',
    what: 'a setuid program: the user whose rights it has',
    match: () => 'user: 4343',
    uid: '4246',
    prepare: ({ program }) => {
      chownSync(program, 4343, 4343);
      chmodSync(program, SETUID);
    },
  },
  {
    ...udp,
    name: 'cgroup',
    what: 'a cgroup that a policy names, by a program that ends at once',
    isStatic: true,
    isBrief: true,
    match: ({ cgroup }) => `cgroup: ${cgroup}`,
    inCgroup: true,
    prepare: ({ world, scenario: { name } }) => void makeLabCgroup(world.device.id, name),
  },
  {
    name: 'script-shebang',
    what: 'a script started as such (#!/usr/bin/python3)',
    source: 'udp.py',
    sends,
    match: ({ program }) => `script: ${program}`,
  },
  {
    name: 'script-by-name',
    what: 'a script started by its interpreter (python3 SCRIPT)',
    source: 'udp.py',
    sends,
    match: ({ program }) => `script: ${program}`,
    run: (stage) => stage.world.run(stage, ['/usr/bin/python3', stage.program, ...stage.args()]),
  },
  {
    name: 'script-shell',
    what: 'a shell script, a socket for each datagram',
    source: 'udp.bash',
    // "datagram" and a line feed.
    sends: { unit: 'packets', count: 10, bytes: 370 },
    match: ({ program }) => `script: ${program}`,
  },
  {
    ...udp,
    name: 'children',
    what: 'a program without a policy, started by one with `children: same`',
    source: 'start-other.c',
    companions: [other],
    policy: `children: same\n${POLICY}`,
    more: ({ companion }) => [companion('other')],
  },
  {
    ...udp,
    name: 'children-with-policy',
    what: 'a program with a policy, started by one with `children: same`',
    companions: [{ name: 'parent', source: 'start-other.c' }],
    prepare: ({ world, companion, scenario: { name } }) =>
      world.device.writePolicy(`${name}-parent`, `exec: ${companion('parent')}`, `children: same\n${POLICY}`),
    run: (stage) => stage.world.run(stage, [stage.companion('parent'), ...stage.args([stage.program])]),
  },
  {
    name: 'replaced-by-copy',
    what: 'a copy of a program under another path',
    source: 'tcp.c',
    sends: connections(1, 10),
    count: 10,
    expected: { app: 'no policy' },
    run: (stage) => {
      const copy = `${stage.program}.copy`;
      copyFileSync(stage.program, copy);
      return runOther(stage, copy);
    },
  },
];
