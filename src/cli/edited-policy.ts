/** Which file says what the administrator wants of an application, and what it says. */
import { lstatSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { APP_PATTERN } from '../policy/schema.ts';
import { findApp } from '../policy/sorted-apps.ts';
import { didYouMean } from '../policy/suggestion.ts';
import type { Paths } from '../store/paths.ts';
import { PolicyFiles } from '../store/policy-files.ts';
import { readSourceFile } from '../store/source-file.ts';
import { CliError } from './cli-error.ts';
import { EXIT } from './exit-code.ts';

export interface EditedPolicy {
  readonly path: string;
  readonly name: string;
  /** As it was, or what to begin with. */
  readonly bytes: Uint8Array;
  readonly isNew: boolean;
  isChangedMeanwhile(): boolean;
}

export class EditedElsewhere extends CliError {
  constructor(path: string, copy: string) {
    super(EXIT.failed, `${path} was changed by somebody else meanwhile: nothing is put into force`, {
      hint: `what you wrote is in ${copy}`,
    });
  }
}

/** Throws CliError. */
export function editedPolicy(paths: Paths, app: string): EditedPolicy {
  if (process.getuid?.() !== 0) {
    throw new CliError(EXIT.notPermitted, 'only root may change policies', {
      hint: `run it as root: sudo pointsman edit ${app}`,
    });
  }
  if (!APP_PATTERN.test(app)) {
    throw new CliError(EXIT.usage, `${JSON.stringify(app)} cannot be the name of an application`, {
      hint: 'as in a policy file: app: org.example.Mail',
    });
  }
  const { apps } = new PolicyFiles(paths, { writesLastGood: false }).load().policySet;
  const known = findApp(apps, app);
  const own = known?.files.find(({ layer }) => layer === 'administrator')?.file;
  const path = own ?? join(paths.administratorPolicies, `${app}.yaml`);
  const link = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(path) : undefined;
  if (link !== undefined && link !== '/dev/null') {
    throw new CliError(EXIT.failed, `${path} is a link to ${link}`, { hint: 'edit what it leads to' });
  }
  const before = bytesOf(path);
  const hint =
    known === undefined
      ? didYouMean(
          app,
          apps.map((one) => one.app),
        )
      : undefined;
  return {
    path,
    name: basename(path),
    bytes: before ?? new TextEncoder().encode(template(app, known?.files.map(({ file }) => file) ?? [], hint)),
    isNew: before === undefined,
    isChangedMeanwhile: () => Buffer.compare(bytesOf(path) ?? NOTHING, before ?? NOTHING) !== 0,
  };
}

const NOTHING = new Uint8Array();

function bytesOf(path: string): Uint8Array | undefined {
  const file = readSourceFile(path);
  if (file.kind === 'refused') throw new CliError(EXIT.failed, `${path} cannot be read: ${file.because}`);
  return file.kind === 'read' ? file.bytes : undefined;
}

/** A file that says nothing yet, with what there is to say. */
function template(app: string, others: readonly string[], hint: string | undefined): string {
  return [
    `# What this machine's administrator wants of ${app}; docs/policy-reference.md has all words.`,
    ...(others.length > 0 ? [`# Others speak of it, too: ${others.join(', ')}`] : []),
    ...(hint === undefined ? [] : [`# No policy is about ${app} yet; ${hint}`]),
    'pointsman: 1',
    `app: ${app}`,
    ...(others.length > 0 ? [] : ['match:', '  - exec: /usr/bin/PROGRAM']),
    '#rules:',
    '#  - to: example.org:443',
    '#    do: allow',
    '#otherwise: deny',
    '',
  ].join('\n');
}
