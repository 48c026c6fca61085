/** A profile from a file's fields. */
import { type Path, spanOf } from './document.ts';
import type { Profile, ProfileCondition } from './model.ts';
import { parseDomain, parseMacAddress, parseSsid } from './network-identity.ts';
import { locationOf, type Mistake, quoted } from './report.ts';
import { CONTEXT_KEYS, type ProfileFields, type WhenFields } from './schema.ts';
import { parseTimeWindow } from './time-window.ts';
import { checkFileName } from './validate-uplink.ts';
import { type Checking, listOf } from './validate-via.ts';

export function validateProfile(fields: ProfileFields, checking: Checking): Profile | undefined {
  const { document, report } = checking;
  const { profile: name } = fields;
  checkFileName('profile', name, checking);
  const when = (fields.when ?? []).map((entry, index) => conditionOf(entry ?? {}, ['when', index], checking));
  if (name === undefined || report.hasErrors()) return undefined;
  return { name, when, at: locationOf(document.source, spanOf(document, ['profile'])) };
}

function conditionOf(fields: WhenFields, path: Path, checking: Checking): ProfileCondition {
  const { document, report } = checking;
  const { uplink, ssid, gateway, domain, time } = fields;
  if (Object.keys(fields).length === 0 && !report.hasErrors()) {
    const message = `an entry of "when" has one of ${CONTEXT_KEYS.when.join(', ')}, or several of them`;
    report.error(spanOf(document, path), { code: 'invalid-value', message });
  }
  return {
    ...(uplink === undefined ? {} : { uplinks: listOf<string>(uplink) }),
    ...(ssid === undefined ? {} : { ssids: valuesOf(ssid, [...path, 'ssid'], parseSsid, checking) }),
    ...(gateway === undefined ? {} : { gateways: valuesOf(gateway, [...path, 'gateway'], parseMacAddress, checking) }),
    ...(domain === undefined ? {} : { domains: valuesOf(domain, [...path, 'domain'], parseDomain, checking) }),
    ...(time === undefined ? {} : { times: valuesOf(time, [...path, 'time'], parseTimeWindow, checking) }),
  };
}

type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | ({ readonly ok: false } & Pick<Mistake, 'message' | 'hint'>);

/** Each text of one or a list, as a value; those that are none are reported where they stand. */
function valuesOf<T>(
  field: string | readonly (string | undefined)[],
  path: Path,
  parse: (text: string) => Parsed<T>,
  { document, report }: Checking,
): readonly T[] {
  return listOf<string>(field).flatMap((text, index) => {
    const result = parse(text);
    if (result.ok) return [result.value];
    const at = typeof field === 'string' ? path : [...path, index];
    const message = `${quoted(text)}: ${result.message}`;
    report.error(spanOf(document, at), { code: 'invalid-value', message, hint: result.hint });
    return [];
  });
}
