/** `via` from a file's fields, and the contradictions in it. */
import { type Path, spanOf, type YamlDocument } from './document.ts';
import { parseDurationMs } from './duration.ts';
import type { Bound, PropertyConstraint, Quantity, UplinkType, Via } from './model.ts';
import { implies, parseBound, QUANTITIES } from './quantity.ts';
import { locationOf, quoted, type Report } from './report.ts';
import type { ConstraintFields, ViaFields } from './schema.ts';

/** What the checks of a file have in common. */
export interface Checking {
  readonly document: YamlDocument;
  readonly report: Report;
}

/** Less than it takes to notice that an uplink has come back. */
const LEAST_STICKY_MS = 1000;
const FLAGS = ['metered', 'roaming', 'trusted', 'encrypted', 'validated'] as const;

export function validateVia(fields: ViaFields, path: Path, checking: Checking): Via {
  const { document, report } = checking;
  const constraint = (word: 'require' | 'prefer' | 'avoid' | 'prohibit') =>
    constraintOf(fields[word], [...path, word], checking);
  const stickyMs = fields.sticky === undefined ? undefined : stickyOf(fields.sticky, [...path, 'sticky'], checking);
  const via: Via = {
    require: constraint('require'),
    prefer: constraint('prefer'),
    avoid: constraint('avoid'),
    prohibit: constraint('prohibit'),
    else: fields.else ?? 'block',
    ...(fields.share === undefined ? {} : { share: fields.share }),
    ...(stickyMs === undefined ? {} : { stickyMs }),
    // What holds without the word is the same policy as what holds by it.
    ...(fields.local === undefined || fields.local === 'system' ? {} : { local: fields.local }),
    at: locationOf(document.source, spanOf(document, path)),
  };
  for (const property of contradictions(via.require, via.prohibit)) {
    const message = `${quoted(property)}: no uplink can meet what is required and also prohibited`;
    report.error(spanOf(document, [...path, 'prohibit', property]), { code: 'contradiction', message });
  }
  for (const property of contradictions(via.prefer, via.avoid)) {
    const message = `${quoted(property)}: preferred and avoided at once has no effect`;
    report.warning(spanOf(document, [...path, 'avoid', property]), { code: 'contradiction', message });
  }
  return via;
}

function constraintOf(fields: ConstraintFields | undefined, path: Path, checking: Checking): PropertyConstraint {
  if (fields === undefined) return {};
  const constraint: { -readonly [K in keyof PropertyConstraint]: PropertyConstraint[K] } = {};
  if (fields.name !== undefined) constraint.name = listOf<string>(fields.name);
  if (fields.type !== undefined) constraint.type = listOf<UplinkType>(fields.type);
  for (const flag of FLAGS) {
    const wanted = fields[flag];
    if (wanted !== undefined) constraint[flag] = wanted;
  }
  for (const quantity of QUANTITIES) {
    const text = fields[quantity];
    const bound = text === undefined ? undefined : boundOf(quantity, text, [...path, quantity], checking);
    if (bound !== undefined) constraint[quantity] = bound;
  }
  return constraint;
}

function stickyOf(text: string, path: Path, { document, report }: Checking): number | undefined {
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms >= LEAST_STICKY_MS) return ms;
  const message = `${quoted(text)} is no time from 1s to 24h`;
  report.error(spanOf(document, path), { code: 'invalid-value', message, hint: 'such as 30s, 10m or 2h' });
  return undefined;
}

function boundOf(quantity: Quantity, text: string, path: Path, { document, report }: Checking): Bound | undefined {
  const result = parseBound(quantity, text);
  if (result.ok) return result.value;
  report.error(spanOf(document, path), result);
  return undefined;
}

export function listOf<T extends string>(value: T | readonly (T | undefined)[]): readonly T[] {
  if (typeof value === 'string') return [value];
  return value.filter((entry) => entry !== undefined);
}

/** Properties of which every wanted value is also among the unwanted. */
function contradictions(wanted: PropertyConstraint, unwanted: PropertyConstraint): readonly string[] {
  const flags = FLAGS.filter((flag) => wanted[flag] !== undefined && wanted[flag] === unwanted[flag]);
  const lists = (['name', 'type'] as const).filter((list) => {
    const values: readonly string[] = wanted[list] ?? [];
    const refused: ReadonlySet<string> = new Set<string>(unwanted[list] ?? []);
    return values.length > 0 && values.every((value) => refused.has(value));
  });
  const bounds = QUANTITIES.filter((quantity) => {
    const { [quantity]: inner } = wanted;
    const { [quantity]: outer } = unwanted;
    return inner !== undefined && outer !== undefined && implies(inner, outer);
  });
  return [...flags, ...lists, ...bounds];
}
