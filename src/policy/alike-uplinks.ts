import { formatAddress, parseAddress } from '../net/address.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { Uplink } from './model.ts';
import { diagnosticAt } from './policy-source.ts';

const HINT = 'state in each by which router it leaves: gateway: { v4: ADDRESS, v6: ADDRESS }';

/** Warnings for files about one device that no gateway tells apart: they are one way out with two names, and a `via` that names the one gets the other. */
export function alikeUplinks(uplinks: readonly Uplink[]): readonly Diagnostic[] {
  const first = new Map<string, Uplink>();
  return uplinks.flatMap((uplink) => {
    if (uplink.discovered) return [];
    const key = [uplink.device, gatewayText(uplink.gateways.v4), gatewayText(uplink.gateways.v6)].join(' ');
    const other = first.get(key);
    if (other === undefined) {
      first.set(key, uplink);
      return [];
    }
    const message = `uplink ${JSON.stringify(uplink.name)} is the same way out as ${JSON.stringify(other.name)}: the same device, and no other gateway`;
    return [diagnosticAt(uplink.at, 'warning', 'duplicate-entry', message, HINT)];
  });
}

/** Addresses are written in several ways. */
function gatewayText(stated: string | undefined): string {
  const address = stated === undefined ? undefined : parseAddress(stated);
  return address === undefined ? '-' : formatAddress(address);
}
