import type { Scenario } from '../scenario.ts';
import { connections } from './amounts.ts';

const STORM = 200;
const PAYLOADS = 10;
const FILE_PAYLOADS = 1_000;
const one = connections(1, PAYLOADS);
const tcp = { source: 'tcp.c', sends: one, count: PAYLOADS } as const;

export const TCP: readonly Scenario[] = [
  { ...tcp, name: 'tcp-v4', what: 'TCP, IPv4, by a program that ends at once', isBrief: true },
  { ...tcp, name: 'tcp-v6', what: 'TCP, IPv6', to: 'v6' },
  {
    ...tcp,
    name: 'tcp-mapped',
    what: 'TCP, IPv4 from an AF_INET6 socket (::ffff:ADDRESS)',
    run: (stage) => stage.world.run(stage, [stage.program, ...stage.args([], `::ffff:${stage.address}`)]),
  },
  { ...tcp, name: 'tcp-static', what: 'TCP by a static program that ends at once', isStatic: true, isBrief: true },
  {
    name: 'tcp-abandoned',
    what: 'a SYN by a program that ends before it is answered',
    source: 'tcp-abandoned.c',
    isStatic: true,
    sends: { unit: 'attempts', count: 1 },
  },
  {
    name: 'tcp-fastopen',
    what: 'TCP fast open: data in the SYN, no connect',
    source: 'tcp-fastopen.c',
    sends: connections(1, 1),
  },
  { name: 'mptcp', what: 'Multipath TCP', source: 'mptcp.c', sends: one, count: PAYLOADS },
  {
    name: 'tcp-sendfile',
    what: 'TCP, a file by sendfile',
    source: 'tcp-sendfile.c',
    sends: connections(1, FILE_PAYLOADS),
    count: FILE_PAYLOADS,
  },
  {
    name: 'io-uring',
    what: 'TCP by io_uring: socket, connect and send without socket calls',
    source: 'io-uring.c',
    sends: one,
    count: PAYLOADS,
  },
  {
    name: 'io-uring-sqpoll',
    what: "TCP by io_uring's kernel thread (SQPOLL)",
    source: 'io-uring.c',
    sends: one,
    count: PAYLOADS,
    more: () => ['sqpoll'],
  },
  {
    name: 'tcp-forks',
    what: `fork storm: ${STORM} children, a connection each`,
    source: 'tcp-forks.c',
    sends: connections(STORM, STORM),
    count: STORM,
  },
  {
    name: 'tcp-threads',
    what: `thread storm: ${STORM} threads, a connection each`,
    source: 'tcp-threads.c',
    sends: connections(STORM, STORM),
    count: STORM,
  },
];
