/**
 * By which devices containers with a network namespace of their own send. A container's cgroup names its processes, a process
 * its namespace, and devices here the namespace that their other end is in: no runtime is asked, and addresses, which a
 * container may choose for itself, do not count.
 */
import { type CgroupTree, firstProcessIn } from '../kernel/cgroup.ts';
import type { Routing } from '../kernel/kernel.ts';
import { isUsableDeviceName } from '../net/device-name.ts';
import type { Link } from '../netlink/link.ts';
import type { ResolvedCgroup } from '../plan/host.ts';
import type { Facts, ForwardedDevice } from '../policy/facts.ts';
import { type AppIndex, matchContainerCgroup } from '../policy/match-app.ts';

export interface ContainerDevicesSources {
  readonly routing: Pick<Routing, 'links' | 'namespaceIdOf'>;
  readonly cgroups: CgroupTree | undefined;
}

/** Pairs of devices, where what goes in at one end comes out of the other. Tunnels have their other end elsewhere in another sense. */
const PAIR_KINDS: readonly string[] = ['veth', 'netkit'];

/** Of the containers among these cgroups that policies name. Sorted by device index. Throws KernelError. */
export function containerDevices(
  { routing, cgroups: tree }: ContainerDevicesSources,
  index: AppIndex,
  cgroups: readonly ResolvedCgroup[],
  containers: Facts['containers'],
): readonly ForwardedDevice[] {
  const named = cgroups.filter(({ path }) => matchContainerCgroup(index, path, containers) !== undefined);
  if (tree === undefined || named.length === 0) return [];
  // The links first: listing them is what gives their namespaces numbers.
  const pairs = routing.links().filter(isPairEnd);
  const byNamespace = new Map<number, string[]>();
  for (const { path } of named) {
    const pid = firstProcessIn(tree, path);
    const namespace = pid === undefined ? undefined : routing.namespaceIdOf(pid);
    if (namespace !== undefined) byNamespace.set(namespace, [...(byNamespace.get(namespace) ?? []), path]);
  }
  return pairs
    .flatMap(({ name: device, index: deviceIndex, linkNamespaceId }) => {
      const inside = byNamespace.get(linkNamespaceId);
      return inside === undefined ? [] : [{ device, deviceIndex, cgroups: inside.toSorted() }];
    })
    .sort((a, b) => a.deviceIndex - b.deviceIndex);
}

const isPairEnd = (link: Link): link is Link & { readonly linkNamespaceId: number } =>
  link.linkNamespaceId !== undefined && PAIR_KINDS.includes(link.kind ?? '') && isUsableDeviceName(link.name);
