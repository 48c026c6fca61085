/** Network devices that are left out for their names. */
import type { Routing } from '../kernel/kernel.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { isUsableDeviceName } from '../net/device-name.ts';
import type { Round } from './enforce.ts';
import type { Health } from './health.ts';

const SHOWN_NAMES = 5;

/**
 * After a round. Nobody gives a device such a name but to see what happens: all of them are shown, whether or not one would be an
 * uplink.
 */
export function reportDeviceNames(
  health: Pick<Health, 'report'>,
  { pending: { kinds } }: Pick<Round, 'pending'>,
  routing: Pick<Routing, 'links'>,
): void {
  if (!kinds.has('network') && !kinds.has('start')) return;
  try {
    const found = routing.links().filter(({ name }) => !isUsableDeviceName(name));
    const shown = found.slice(0, SHOWN_NAMES).map(({ name, index }) => `${JSON.stringify(name)} (index ${index})`);
    const more = found.length > SHOWN_NAMES ? ` and ${found.length - SHOWN_NAMES} more` : '';
    const message = `network devices that are left out because of their names: ${shown.join(', ')}${more}`;
    const hint = 'ip link set dev OLD name NEW gives one another name';
    health.report('name-not-usable', found.length === 0 ? undefined : { message, hint });
  } catch (error) {
    // Ignoring it: what is known of them stays, and the next change of the network is looked at again.
    if (!(error instanceof KernelError)) throw error;
  }
}
