/**
 * Command lines that put a program into a namespace of the lab.
 * `ip netns exec` is no choice: it mounts a new /sys, and the cgroups below it disappear.
 */
import { realpathSync } from 'node:fs';
import { LabError } from './lab-error.ts';
import { labFiles } from './lab-state.ts';
import { findTool } from './run-tool.ts';
import { type NamespacePart, namespaceName } from './world.ts';

/** Joins the network namespace only. Every step execs, so the pid of the child is the program's. */
export function inNamespace(id: string, part: NamespacePart, command: readonly string[]): readonly string[] {
  return [findTool('nsenter'), `--net=/run/netns/${namespaceName(id, part)}`, '--', ...command];
}

// Fixed text: a cgroup directory or "", then pairs of files to lay one over the other, then "--" and the program.
const ENTER = [
  'if [ -n "$1" ]; then printf %s "$$" > "$1/cgroup.procs" || exit 125; fi',
  'shift',
  'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 125; shift 2; done',
  'shift',
  'exec "$@"',
].join('\n');

/**
 * Joins the device: its network, and a private view of the two files that decide how names are looked up. The mount
 * namespace is a slave of the host's, so that later host mounts appear and nothing of ours gets out.
 */
export function inDevice(
  id: string,
  stateDir: string,
  command: readonly string[],
  options: { readonly cgroupDir?: string } = {},
): readonly string[] {
  const files = labFiles(stateDir);
  const overlaid = [files.resolvConf, target('/etc/resolv.conf'), files.nsswitchConf, target('/etc/nsswitch.conf')];
  const enter = [findTool('sh'), '-c', ENTER, 'sh', options.cgroupDir ?? '', ...overlaid, '--', ...command];
  return inNamespace(id, 'device', [findTool('unshare'), '--mount', '--propagation', 'slave', '--', ...enter]);
}

/** mount(2) would follow the link by itself, but not tell what is wrong with one that leads nowhere. */
function target(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw new LabError(
      'missing-tool',
      `${path} is missing or a link that leads nowhere; the lab lays its own file over it, so create one (an empty file does)`,
      { cause: error },
    );
  }
}
