/** That what the default says holds for programs of this machine, and not for those whose packets it forwards. Pure. */
import type { Family } from '../net/address.ts';
import type { SystemDefault } from '../policy/model.ts';
import type { Warning } from './health.ts';

/** Only where the default refuses, or sends by an uplink: somebody may count on that. */
export function forwardingWarning(
  { otherwise, via }: Pick<SystemDefault, 'otherwise' | 'via'>,
  forwarded: readonly Family[],
): Warning | undefined {
  if (forwarded.length === 0) return undefined;
  const says = otherwise.do === 'allow' ? (via === undefined ? undefined : 'has a via') : `says ${otherwise.do}`;
  if (says === undefined) return undefined;
  const families = forwarded.map((family) => `IPv${family}`).join(' and ');
  const message = `the default ${says}, and this machine forwards ${families} for others, which no default governs: containers and machines behind it connect as before`;
  return {
    message,
    hint: 'a policy can name a container; where nobody is to be forwarded for: sysctl net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0',
  };
}
