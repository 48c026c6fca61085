import type { EffectivePolicy } from './effective-policy.ts';
import type { ContainerOwner } from './identity.ts';
import { type AppIndex, matchContainerCgroup, type Names } from './match-app.ts';

/**
 * The policies of containers that share a network namespace, each once, by application. None: no policy names any of them,
 * and what they send is not ours to decide. Several: nothing tells whose a packet is.
 */
export function forwardedPolicies(
  index: AppIndex,
  { cgroups }: Pick<ContainerOwner, 'cgroups'>,
  { containers }: Pick<Names, 'containers'>,
): readonly EffectivePolicy[] {
  const found = new Set<EffectivePolicy>();
  for (const path of cgroups) {
    const match = matchContainerCgroup(index, path, containers);
    if (match !== undefined) found.add(match.policy);
  }
  return [...found].sort((a, b) => (a.app < b.app ? -1 : 1));
}
