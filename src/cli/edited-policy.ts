/** Which file says what the administrator wants of an application, and what it says. */
import { existsSync, lstatSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { EffectivePolicy } from '../policy/effective-policy.ts';
import { isPolicyFileName } from '../policy/layers.ts';
import { APP_PATTERN } from '../policy/schema.ts';
import { findApp } from '../policy/sorted-apps.ts';
import { didYouMean } from '../policy/suggestion.ts';
import type { Paths } from '../store/paths.ts';
import { PolicyFiles } from '../store/policy-files.ts';
import { namesProgram } from '../store/program-path.ts';
import { errorCode, errorText, readSourceFile } from '../store/source-file.ts';
import { CliError } from './cli-error.ts';
import { EXIT } from './exit-code.ts';
import { programPath } from './named-program.ts';

export interface EditedPolicy {
  readonly path: string;
  readonly name: string;
  /** As it was, or what to begin with. */
  readonly bytes: Uint8Array;
  readonly isNew: boolean;
  isChangedMeanwhile(): boolean;
}

export class EditedElsewhere extends CliError {
  constructor(path: string) {
    super(EXIT.failed, `${path} was changed by somebody else meanwhile: nothing is put into force`, {
      hint: 'edit it again, and take over what you wrote',
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
  const path = ownFile(paths, app) ?? join(paths.administratorPolicies, `${app}.yaml`);
  if (known === undefined && !existsSync(path)) requireFree(apps, app);
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

/**
 * The one file that says what the administrator wants of the application, whatever it is called and also while it has mistakes; undefined where there is
 * none. Throws CliError where there are several, or its name is taken by another application.
 */
function ownFile({ administratorPolicies: directory }: Paths, app: string): string | undefined {
  const files = policyFilesOf(directory).map((path) => ({ path, about: appOfFile(path) }));
  const own = files.filter(({ about }) => about === app).map(({ path }) => path);
  const [first, ...others] = own;
  if (others.length > 0)
    throw new CliError(EXIT.failed, `${own.length} files are about ${app}: ${own.join(', ')}`, {
      hint: `one of them counts: put into it what is to hold, and remove the ${others.length === 1 ? 'other' : 'others'}; pointsman check says which is not used`,
    });
  if (first !== undefined) return first;
  // In what cannot be read by its keys it may still stand.
  const called = files.filter(({ path }) => basename(path).replace(/\.ya?ml$/, '') === app);
  const [named] = called;
  const taken = called.find(({ about }) => about !== undefined);
  if (taken !== undefined)
    throw new CliError(
      EXIT.failed,
      `${taken.path} is about ${taken.about}, and no file of the administrator's about ${app}`,
      {
        hint: `sudo pointsman edit ${taken.about}; or give the file another name first`,
      },
    );
  return named?.path;
}

function policyFilesOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter(isPolicyFileName)
      .sort()
      .map((name) => join(directory, name));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw new CliError(EXIT.failed, `${directory} cannot be read: ${errorText(error)}`);
  }
}

/** As it stands in a line of its own: of a file with mistakes nothing else may be readable. */
function appOfFile(path: string): string | undefined {
  const file = readSourceFile(path);
  if (file.kind !== 'read') return undefined;
  const [, app] = /^["']?app["']?\s*:\s*["']?([^\s"'#]+)/m.exec(new TextDecoder().decode(file.bytes)) ?? [];
  return app;
}

/** Whoever means a program by its name gets no second application for it: one of them would not have it. Throws CliError. */
function requireFree(apps: readonly EffectivePolicy[], app: string): void {
  const program = programOf(app);
  if (program === undefined) return;
  const owner = apps.find(({ match }) => match.some((entry) => namesProgram(entry) && sameFile(entry.value, program)));
  if (owner === undefined) return;
  throw new CliError(
    EXIT.failed,
    `${program} is the application ${owner.app}: ${owner.files.map(({ file }) => file).join(', ')}`,
    {
      hint: `sudo pointsman edit ${owner.app}`,
    },
  );
}

function programOf(name: string): string | undefined {
  try {
    return realpathSync(programPath(name));
  } catch {
    return undefined;
  }
}

function sameFile(named: string, program: string): boolean {
  try {
    return named === program || realpathSync(named) === program;
  } catch {
    // Ignoring it: there is no such file, so it is not this one.
    return false;
  }
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
    ...(others.length > 0 ? [] : ['match:', `  - exec: ${programOf(app) ?? '/usr/bin/PROGRAM'}`]),
    '#rules:',
    '#  - to: example.org:443',
    '#    do: allow',
    '#otherwise: deny',
    '',
  ].join('\n');
}
