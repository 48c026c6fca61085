/** What programs that serve network namespaces send for whatever is in them. */
import { existsSync } from 'node:fs';
import { behind, type UserModeNetwork } from '../../netns/support/user-mode-networks.ts';
import { type Ended, EXIT_ABSENT } from '../ended.ts';
import type { Scenario, Stage } from '../scenario.ts';
import { datagrams4 } from './amounts.ts';

const run =
  (network: UserModeNetwork) =>
  async (stage: Stage): Promise<Ended> => {
    if (!existsSync(`/usr/bin/${network}`)) return { exitCode: EXIT_ABSENT, stdout: 'not installed', stderr: '' };
    return await stage.world.run(stage, behind(network, [stage.program, ...stage.args()]));
  };

export const USER_MODE_NETWORKS: readonly Scenario[] = [
  {
    name: 'pasta',
    what: 'a program behind pasta, which a policy names: by that policy, although pasta executes passt.avx2',
    source: 'udp.c',
    sends: datagrams4(10),
    uid: '4247',
    match: () => 'exec: /usr/bin/pasta',
    run: run('pasta'),
  },
  {
    name: 'slirp4netns',
    what: 'a program behind slirp4netns, which no policy names: by the strictest policy of all that may be there',
    source: 'udp.c',
    sends: { unit: 'packets', count: 0, bytes: 0 },
    count: 10,
    uid: '4247',
    expected: { notAnApplication: 'refused, as one of them denies' },
    run: run('slirp4netns'),
  },
];
