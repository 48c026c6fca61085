/** Network namespaces that a program of an ordinary user joins to the device's by sockets of its own, as rootless containers have them. */
import { type ChildProcess, spawn } from 'node:child_process';

/** Any user may start them. */
export const USER = 65_534;

export type UserModeNetwork = 'pasta' | 'slirp4netns';

const AS_USER: readonly string[] = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];
/** The namespace, and what serves it from outside: the device is there when it has written a line. IPv6 without waiting for its router. */
const SLIRP = `
slirp=$1; shift
exec 5<&0
dir=$(mktemp -d); mkfifo "$dir/ready"; trap 'rm -r "$dir"' EXIT
unshare --user --map-root-user --net sh -c '
  read -r _ < "$0/ready"
  ip addr add fd00::100/64 dev tap0 nodad
  ip -6 route add default via fd00::2 2> /dev/null
  exec "$@"' "$dir" "$@" <&5 &
inner=$!
until [ "$(readlink /proc/$inner/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
"$slirp" --configure --enable-ipv6 --ready-fd=4 "$inner" tap0 4> "$dir/ready" > /dev/null 2>&1 &
outer=$!
wait "$inner"
kill "$outer"
wait "$outer"
`;

export interface BehindOptions {
  /** The file to start, where it is not the usual one. */
  readonly by?: string;
  /** The command of what starts it all. */
  readonly starter?: readonly string[];
}

/** The command that runs another one behind it. `by`: as in BehindOptions. */
export const behind = (
  network: UserModeNetwork,
  command: readonly string[],
  by: string = network,
): readonly string[] => [
  ...(network === 'pasta' ? [by, '--config-net', '--quiet', '--'] : ['sh', '-c', SLIRP, 'sh', by]),
  ...command,
];

/** A program behind it. */
export function spawnBehind(
  network: UserModeNetwork,
  namespace: string,
  command: readonly string[],
  { by = network, starter = [] }: BehindOptions = {},
): ChildProcess {
  const args = [`--net=/run/netns/${namespace}`, ...AS_USER, ...starter, ...behind(network, command, by)];
  return spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'ignore'], cwd: '/' });
}
