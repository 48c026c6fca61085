/** An uplink from a file's fields. */
import { type Address, isLoopbackAddress, parseAddress } from '../net/address.ts';
import { spanOf } from './document.ts';
import type { Uplink } from './model.ts';
import { locationOf, quoted } from './report.ts';
import { DEFAULT_PRIORITY, type UplinkFields } from './schema.ts';
import type { Checking } from './validate-via.ts';

const FAMILIES = [
  ['v4', 4],
  ['v6', 6],
] as const;

export function validateUplink(fields: UplinkFields, checking: Checking): Uplink | undefined {
  const { document, report } = checking;
  checkName(fields.uplink, checking);
  const gateways = checkGateways(fields.gateway ?? {}, checking);
  const resolvers = checkResolvers(fields.resolvers ?? [], checking);
  const { uplink: name, device } = fields;
  if (name === undefined || device === undefined || report.hasErrors()) return undefined;
  return {
    name,
    device,
    priority: fields.priority ?? DEFAULT_PRIORITY,
    properties: {
      type: fields.type ?? 'other',
      metered: fields.metered ?? false,
      roaming: fields.roaming ?? false,
      trusted: fields.trusted ?? false,
      encrypted: fields.encrypted ?? false,
    },
    gateways,
    ...(resolvers.length > 0 && { resolvers }),
    at: locationOf(document.source, spanOf(document, ['uplink'])),
  };
}

/** The file's name is what an upper layer's file would have to be called to replace it. */
function checkName(name: string | undefined, { document, report }: Checking): void {
  const fileName = document.source.file.slice(document.source.file.lastIndexOf('/') + 1);
  if (name === undefined || fileName === `${name}.yaml`) return;
  const message = `the file of uplink ${quoted(name)} must be called ${quoted(`${name}.yaml`)}, not ${quoted(fileName)}`;
  report.error(spanOf(document, ['uplink']), { code: 'name-mismatch', message });
}

function checkGateways(gateway: NonNullable<UplinkFields['gateway']>, checking: Checking): Uplink['gateways'] {
  const { document, report } = checking;
  const gateways: { v4?: string; v6?: string } = {};
  for (const [key, family] of FAMILIES) {
    const text = gateway[key];
    if (text === undefined) continue;
    if (parseAddress(text)?.family === family) {
      gateways[key] = text;
    } else {
      const message = `"${key}" must be an IPv${family} address, not ${quoted(text)}`;
      report.error(spanOf(document, ['gateway', key]), { code: 'invalid-value', message });
    }
  }
  return gateways;
}

/** Behind a resolver on loopback is whatever it thinks best, and not this uplink. */
function checkResolvers(
  resolvers: readonly (string | undefined)[],
  { document, report }: Checking,
): readonly Address[] {
  return resolvers.flatMap((text, index) => {
    if (text === undefined) return [];
    const address = parseAddress(text);
    if (address !== undefined && !isLoopbackAddress(address)) return [address];
    const what = address === undefined ? 'an IP address' : 'an address beyond loopback';
    const message = `a resolver must be ${what}, not ${quoted(text)}`;
    report.error(spanOf(document, ['resolvers', index]), { code: 'invalid-value', message });
    return [];
  });
}
