/** A profile from a file's fields. */
import { type Path, spanOf } from './document.ts';
import type { Profile, ProfileCondition, TimeWindow } from './model.ts';
import { locationOf, quoted } from './report.ts';
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

function conditionOf({ uplink, time }: WhenFields, path: Path, checking: Checking): ProfileCondition {
  const { document, report } = checking;
  if (uplink === undefined && time === undefined && !report.hasErrors()) {
    const message = `an entry of "when" has one of ${CONTEXT_KEYS.when.join(', ')}, or several of them`;
    report.error(spanOf(document, path), { code: 'invalid-value', message });
  }
  return {
    ...(uplink === undefined ? {} : { uplinks: listOf<string>(uplink) }),
    ...(time === undefined ? {} : { times: windowsOf(time, [...path, 'time'], checking) }),
  };
}

function windowsOf(
  time: string | readonly (string | undefined)[],
  path: Path,
  { document, report }: Checking,
): readonly TimeWindow[] {
  return listOf<string>(time).flatMap((text, index) => {
    const result = parseTimeWindow(text);
    if (result.ok) return [result.value];
    const at = typeof time === 'string' ? path : [...path, index];
    const message = `${quoted(text)}: ${result.message}`;
    report.error(spanOf(document, at), { code: 'invalid-value', message, hint: result.hint });
    return [];
  });
}
