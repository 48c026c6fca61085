import type { Scenario } from '../scenario.ts';
import { INBOUND } from './inbound.ts';
import { OTHER_PROTOCOLS } from './other-protocols.ts';
import { PROGRAMS } from './programs.ts';
import { SOCKETS } from './sockets.ts';
import { TCP } from './tcp.ts';
import { UDP } from './udp.ts';
import { USER_MODE_NETWORKS } from './user-mode.ts';
import { WAYS } from './ways.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...TCP,
  ...UDP,
  ...OTHER_PROTOCOLS,
  ...SOCKETS,
  ...PROGRAMS,
  ...WAYS,
  ...INBOUND,
  ...USER_MODE_NETWORKS,
];
