/** An uplink from a file's fields. */
import {
  type Address,
  formatPrefix,
  isLoopbackAddress,
  type Prefix,
  parseAddress,
  parsePrefix,
} from '../net/address.ts';
import { spanOf } from './document.ts';
import { propertiesOf } from './join-uplinks.ts';
import { isPrivate } from './local-networks.ts';
import type { Quantity, Uplink } from './model.ts';
import { parseQuantity } from './quantity.ts';
import { locationOf, quoted } from './report.ts';
import { DEFAULT_PRIORITY, type UplinkFields } from './schema.ts';
import { validateProbe } from './validate-probe.ts';
import type { Checking } from './validate-via.ts';

const FAMILIES = [
  ['v4', 4],
  ['v6', 6],
] as const;

export function validateUplink(fields: UplinkFields, checking: Checking): Uplink | undefined {
  const { document, report } = checking;
  checkFileName('uplink', fields.uplink, checking);
  const gateways = checkGateways(fields.gateway ?? {}, checking);
  const bandwidthBitsPerSecond = quantityOf('bandwidth', fields, checking);
  const rttMs = quantityOf('rtt', fields, checking);
  const lossRatio = quantityOf('loss', fields, checking);
  const probe = validateProbe(fields.probe, checking);
  const resolvers = checkResolvers(fields.resolvers ?? [], checking);
  const networks = checkNetworks(fields.networks ?? [], checking);
  const { uplink: name, device } = fields;
  if (name === undefined || device === undefined || report.hasErrors()) return undefined;
  return {
    name,
    device,
    priority: fields.priority ?? DEFAULT_PRIORITY,
    ...(fields.weight === undefined ? {} : { weight: fields.weight }),
    ...propertiesOf([{ by: 'file', told: { ...fields, bandwidthBitsPerSecond, rttMs, lossRatio } }]),
    gateways,
    ...(probe !== undefined && { probe }),
    ...(resolvers.length > 0 && { resolvers }),
    ...(networks.length > 0 && { networks }),
    at: locationOf(document.source, spanOf(document, ['uplink'])),
  };
}

/** The file's name is what an upper layer's file would have to be called to replace it. */
export function checkFileName(
  kind: 'uplink' | 'profile',
  name: string | undefined,
  { document, report }: Checking,
): void {
  const fileName = document.source.file.slice(document.source.file.lastIndexOf('/') + 1);
  if (name === undefined || fileName === `${name}.yaml`) return;
  const message = `the file of ${kind} ${quoted(name)} must be called ${quoted(`${name}.yaml`)}, not ${quoted(fileName)}`;
  report.error(spanOf(document, [kind]), { code: 'name-mismatch', message });
}

function quantityOf(quantity: Quantity, fields: UplinkFields, { document, report }: Checking): number | undefined {
  const text = fields[quantity];
  if (text === undefined) return undefined;
  const result = parseQuantity(quantity, text);
  if (result.ok) return result.value;
  report.error(spanOf(document, [quantity]), result);
  return undefined;
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

/** What is not private is never local, whatever anybody says. */
function checkNetworks(networks: readonly (string | undefined)[], { document, report }: Checking): readonly Prefix[] {
  return networks.flatMap((text, index) => {
    if (text === undefined) return [];
    const prefix = parsePrefix(text);
    if (prefix !== undefined && isPrivate(prefix)) return [prefix];
    const what = prefix === undefined ? 'a network such as 10.0.0.0/8' : 'a network of private addresses';
    const hint = prefix === undefined ? undefined : `${formatPrefix(prefix)} goes by the uplink that \`via\` chooses`;
    const message = `"networks" must have ${what}, not ${quoted(text)}`;
    report.error(spanOf(document, ['networks', index]), { code: 'invalid-value', message, ...(hint && { hint }) });
    return [];
  });
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
