/** From a file's bytes to a typed value or to everything that is wrong with them. Nothing here throws, whatever the bytes are. */
import type { z } from 'zod';
import { checkSchema, type FileKind } from './check-schema.ts';
import type { Diagnostic } from './diagnostic.ts';
import { parseDocument, type YamlDocument } from './document.ts';
import { type MaskReading, readMask } from './mask.ts';
import type { Children, Match, Policy, Profile, SystemDefault, Uplink } from './model.ts';
import { recoverIdentity } from './recover-identity.ts';
import { createReport, type Report } from './report.ts';
import { packagesSchema, policySchema, profileSchema, systemDefaultSchema, uplinkSchema } from './schema.ts';
import { readSource } from './source-text.ts';
import { validatePolicy } from './validate-policy.ts';
import { validateProfile } from './validate-profile.ts';
import { builtinSystemDefault, validateSystemDefault } from './validate-system-default.ts';
import { validateUplink } from './validate-uplink.ts';

export interface ParsedPolicyFile {
  /** There only if no diagnostic is an error. */
  readonly policy?: Policy;
  /** Who the file is about, as far as it can be told, also where the file has mistakes. */
  readonly app?: string;
  readonly match?: readonly Match[];
  readonly children?: Children;
  readonly diagnostics: readonly Diagnostic[];
  /** The file says that there is to be nothing, and so hides the files of its name in weaker layers. */
  readonly masked?: true;
}

/** `file` is the path as diagnostics show it; it is not read. */
export function parsePolicyFile(file: string, bytes: Uint8Array): ParsedPolicyFile {
  const { document, report, fields, mask } = readFields('policy', policySchema, file, bytes);
  if (mask === 'masked') return { diagnostics: report.diagnostics(), masked: true };
  if (mask === 'broken') return { ...recoverIdentity(document.source), diagnostics: report.diagnostics() };
  const checked = validatePolicy(fields ?? {}, { document, report });
  const diagnostics = report.diagnostics();
  if (!report.hasErrors()) return { ...checked, diagnostics };
  const isWhole = checked.app !== undefined && checked.match.length > 0 && checked.children !== undefined;
  const recovered = isWhole ? checked : recoverIdentity(document.source);
  const app = checked.app ?? recovered.app;
  const match = checked.match.length === 0 ? recovered.match : checked.match;
  const children = checked.children ?? recovered.children;
  return {
    ...(app === undefined ? {} : { app }),
    match,
    ...(children === undefined ? {} : { children }),
    diagnostics,
  };
}

/** `masked`: the file says that there is no uplink of its name. */
export function parseUplinkFile(
  file: string,
  bytes: Uint8Array,
): { readonly uplink?: Uplink; readonly diagnostics: readonly Diagnostic[]; readonly masked?: true } {
  const { document, report, fields, mask } = readFields('uplink', uplinkSchema, file, bytes);
  if (mask === 'masked') return { diagnostics: report.diagnostics(), masked: true };
  if (mask === 'broken') return { diagnostics: report.diagnostics() };
  const uplink = validateUplink(fields ?? {}, { document, report });
  return { ...(uplink === undefined ? {} : { uplink }), diagnostics: report.diagnostics() };
}

/** `masked`: the file says that there is no profile of its name. */
export function parseProfileFile(
  file: string,
  bytes: Uint8Array,
): { readonly profile?: Profile; readonly diagnostics: readonly Diagnostic[]; readonly masked?: true } {
  const { document, report, fields, mask } = readFields('profile', profileSchema, file, bytes);
  if (mask === 'masked') return { diagnostics: report.diagnostics(), masked: true };
  if (mask === 'broken') return { diagnostics: report.diagnostics() };
  const profile = validateProfile(fields ?? {}, { document, report });
  return { ...(profile === undefined ? {} : { profile }), diagnostics: report.diagnostics() };
}

/** A mask gives the built-in default. */
export function parseSystemDefaultFile(
  file: string,
  bytes: Uint8Array,
): { readonly systemDefault?: SystemDefault; readonly diagnostics: readonly Diagnostic[] } {
  const { document, report, fields, mask } = readFields('default', systemDefaultSchema, file, bytes);
  if (mask === 'masked') return { systemDefault: builtinSystemDefault, diagnostics: report.diagnostics() };
  const systemDefault = validateSystemDefault(fields ?? {}, { document, report });
  return { ...(systemDefault === undefined ? {} : { systemDefault }), diagnostics: report.diagnostics() };
}

/** Packages that may speak for others. An empty file names none. */
export function parsePackagesFile(
  file: string,
  bytes: Uint8Array,
): { readonly trusted?: ReadonlySet<string>; readonly diagnostics: readonly Diagnostic[] } {
  const { report, fields } = readFields('packages', packagesSchema, file, bytes);
  const names = (fields?.packages ?? []).filter((name) => name !== undefined);
  return { ...(!report.hasErrors() && { trusted: new Set(names) }), diagnostics: report.diagnostics() };
}

interface ReadFields<T> {
  readonly document: YamlDocument;
  readonly report: Report;
  readonly fields: T | undefined;
  readonly mask: MaskReading;
}

function readFields<T>(kind: FileKind, schema: z.ZodType<T>, file: string, bytes: Uint8Array): ReadFields<T> {
  const { source, flaws } = readSource(file, bytes);
  const report = createReport(source);
  for (const { from, to, ...flaw } of flaws) report.error({ from, to }, flaw);
  const isTooLarge = flaws.some((flaw) => flaw.code === 'file-too-large');
  if (isTooLarge) {
    const document = { source, value: undefined, empty: false, root: null };
    return { document, report, fields: undefined, mask: 'no mask' };
  }
  const document = parseDocument(source, report);
  const mask = readMask(document, report);
  // Where the text does not hang together, what seems to be missing is somewhere else.
  const isTorn = report.diagnostics().some(({ code }) => code === 'yaml-syntax');
  const isUnreadable = mask !== 'no mask' || isTorn || (document.value === undefined && report.hasErrors());
  return { document, report, fields: isUnreadable ? undefined : checkSchema(schema, kind, document, report), mask };
}
