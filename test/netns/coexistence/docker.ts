/**
 * The rules that dockerd makes for a bridge network with one published port, by hand: no engine runs here. From Docker's
 * documentation (packet filtering and firewalls) and `iptables-save` as it is known of Docker 24: the chains DOCKER,
 * DOCKER-USER and the isolation stages, FORWARD closed, addresses translated on the way out.
 */
import { execFileSync } from 'node:child_process';
import { DEVICE } from '../daemon/world.ts';
import type { ForeignTool } from './foreign-tool.ts';

export interface DockerNetwork {
  readonly bridge: string;
  readonly network: string;
  readonly container: string;
  readonly published: { readonly host: number; readonly container: number };
  /** What the administrator has closed in DOCKER-USER. */
  readonly closed: number;
}

const rules = ({ bridge, network, container, published, closed }: DockerNetwork): string => `*nat
:PREROUTING ACCEPT
:INPUT ACCEPT
:OUTPUT ACCEPT
:POSTROUTING ACCEPT
:DOCKER -
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s ${network} ! -o ${bridge} -j MASQUERADE
-A DOCKER -i ${bridge} -j RETURN
-A DOCKER ! -i ${bridge} -p tcp -m tcp --dport ${published.host} -j DNAT --to-destination ${container}:${published.container}
COMMIT
*filter
:INPUT ACCEPT
:FORWARD DROP
:OUTPUT ACCEPT
:DOCKER -
:DOCKER-ISOLATION-STAGE-1 -
:DOCKER-ISOLATION-STAGE-2 -
:DOCKER-USER -
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o ${bridge} -j DOCKER
-A FORWARD -i ${bridge} ! -o ${bridge} -j ACCEPT
-A FORWARD -i ${bridge} -o ${bridge} -j ACCEPT
-A DOCKER -d ${container}/32 ! -i ${bridge} -o ${bridge} -p tcp -m tcp --dport ${published.container} -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i ${bridge} ! -o ${bridge} -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o ${bridge} -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -p tcp -m tcp --dport ${closed} -j REJECT --reject-with tcp-reset
-A DOCKER-USER -j RETURN
COMMIT
`;
const NOTHING = ['nat', 'filter'].map((table) => `*${table}\nCOMMIT\n`).join('');
const OPEN = ['-P', 'FORWARD', 'ACCEPT'];

export function docker(network: DockerNetwork): ForeignTool {
  const run = (input: string, ...command: readonly string[]): void => {
    execFileSync('nsenter', [`--net=/run/netns/${DEVICE}`, ...command], { input });
  };
  const start = async (): Promise<void> => run(rules(network), 'iptables-restore');
  const stop = async (): Promise<void> => {
    run(NOTHING, 'iptables-restore');
    run('', 'iptables', ...OPEN);
  };
  return {
    start,
    restart: async () => {
      await stop();
      await start();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
