import type { EffectivePolicy, PolicySet } from './effective-policy.ts';

/**
 * Whether anything of uplinks has to be in the kernel: a file names one, or a `via` chooses among them. Where not, those that
 * are found are only looked at, and no connection of the machine is routed otherwise than without us.
 */
export function usesUplinks({ apps, systemDefault, uplinks }: PolicySet): boolean {
  return systemDefault.via !== undefined || uplinks.some(({ discovered }) => !discovered) || apps.some(hasVia);
}

const hasVia = ({ via, rules }: EffectivePolicy): boolean =>
  via !== undefined || rules.some((rule) => rule.via !== undefined);
