/** An uplink from a file's fields. */
import { parseAddress } from '../net/address.ts';
import { spanOf } from './document.ts';
import type { Uplink } from './model.ts';
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
  checkName(fields.uplink, checking);
  const gateways = checkGateways(fields.gateway ?? {}, checking);
  const probe = validateProbe(fields.probe, checking);
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
    ...(probe !== undefined && { probe }),
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
