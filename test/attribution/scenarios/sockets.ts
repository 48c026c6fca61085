/** Sockets that one program makes and another uses. */
import { existsSync } from 'node:fs';
import { type Ended, EXIT_ABSENT } from '../ended.ts';
import { laidOver } from '../lay-over.ts';
import type { Scenario, Stage } from '../scenario.ts';
import { datagrams4 } from './amounts.ts';

const sends = datagrams4(10);
const user = { name: 'user', source: 'use-descriptor.c', isMatched: true } as const;
const taker = { name: 'taker', source: 'take-descriptor.c', isMatched: true } as const;
/** The file that is a broker is what stands at a broker's path: here for the daemon and for this scenario alone. */
const BROKER = '/usr/lib/systemd/systemd';

function runBroker(stage: Stage): Promise<Ended> {
  if (!existsSync(BROKER))
    return Promise.resolve({ exitCode: EXIT_ABSENT, stdout: `this machine has no ${BROKER}`, stderr: '' });
  const command = [BROKER, ...stage.args(['fork', stage.program])];
  return stage.world.run(stage, laidOver(stage.companion('broker'), BROKER, command));
}

export const SOCKETS: readonly Scenario[] = [
  {
    name: 'passed-on',
    what: 'a socket passed to another program (SCM_RIGHTS), its maker lives',
    source: 'pass-descriptor.c',
    companions: [taker],
    sends,
    more: ({ companion }) => ['wait', companion('taker')],
  },
  {
    name: 'passed-on-by-the-dead',
    what: 'a socket passed to another program, its maker has ended',
    source: 'pass-descriptor.c',
    companions: [taker],
    sends,
    more: ({ companion }) => ['end', companion('taker')],
  },
  {
    name: 'handed-down',
    what: 'a socket inherited over fork and exec by another program',
    source: 'hand-down.c',
    companions: [user],
    sends,
    more: ({ companion }) => ['fork', companion('user')],
  },
  {
    name: 'kept-over-exec',
    what: 'a socket kept over exec of another program by the same process',
    source: 'hand-down.c',
    companions: [user],
    sends,
    more: ({ companion }) => ['exec', companion('user')],
  },
  {
    name: 'broker',
    what: 'a socket that a broker (systemd) makes for the program it starts',
    source: 'use-descriptor.c',
    companions: [{ name: 'broker', source: 'hand-down.c', standsAt: BROKER }],
    sends,
    run: runBroker,
  },
  {
    name: 'false-broker',
    what: 'a socket made for another by a program that is only called inetd',
    source: 'use-descriptor.c',
    companions: [{ name: 'inetd', source: 'hand-down.c', isMatched: true }],
    sends,
    expected: { app: 'false-broker-inetd' },
    run: (stage) => stage.world.run(stage, [stage.companion('inetd'), ...stage.args(['fork', stage.program])]),
  },
  {
    name: 'udp-then-setuid',
    what: 'a socket made before its program becomes a user who has a policy',
    source: 'udp-then-setuid.c',
    sends,
    match: () => 'user: 4244',
    expected: { app: 'no policy' },
    more: () => ['4244'],
  },
];
