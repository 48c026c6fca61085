/** Sockets that one program makes and another uses. */
import type { Scenario } from '../scenario.ts';
import { datagrams4 } from './amounts.ts';

const sends = datagrams4(10);
const user = { name: 'user', source: 'use-descriptor.c', isMatched: true } as const;
const taker = { name: 'taker', source: 'take-descriptor.c', isMatched: true } as const;

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
    what: 'a socket that a broker (inetd) makes for the program it starts',
    source: 'use-descriptor.c',
    companions: [{ name: 'inetd', source: 'hand-down.c', isMatched: true }],
    sends,
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
