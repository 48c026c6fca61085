/**
 * What a package's policy file may say of which processes are its application: programs and units of its own source package,
 * so that an installed package does not speak for another one's programs, nor for users and whole machines.
 */
import type { Diagnostic } from './diagnostic.ts';
import type { Match } from './model.ts';
import { diagnosticAt, matchKey } from './policy-source.ts';

/** Who put a policy file where packages put theirs. */
export type Shipper =
  | ShippingPackage
  /** The machine has dpkg, and no package of it has the file. */
  | { readonly kind: 'nobody' };

export interface ShippingPackage {
  readonly kind: 'package';
  readonly name: string;
  /** Binary packages of the same source package that are installed, itself included. */
  readonly siblings: ReadonlySet<string>;
  /** Whether one of them has the file that an absolute path leads to. */
  readonly ships: (path: string) => boolean;
}

export interface JudgedClaims {
  /** The same array where all of it may be said. */
  readonly match: readonly Match[];
  readonly diagnostics: readonly Diagnostic[];
}

/** systemd.unit(5), "Unit File Search Path": where packages put units. */
const UNIT_DIRECTORIES: readonly string[] = [
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
  '/usr/lib/systemd/user',
  '/usr/share/systemd/user',
];
/** The cgroup of a system unit. */
const UNIT_CGROUP = /^\/system\.slice\/([^/]+)$/;

/** `trusted`: packages that the administrator lets speak for others. */
export function judgeClaims(match: readonly Match[], shipper: Shipper, trusted: ReadonlySet<string>): JudgedClaims {
  if (shipper.kind === 'package' && trusted.has(shipper.name)) return { match, diagnostics: [] };
  const others = match.filter((entry) => shipper.kind === 'nobody' || !isOwn(entry, shipper));
  if (others.length === 0) return { match, diagnostics: [] };
  return {
    match: match.filter((entry) => !others.includes(entry)),
    diagnostics: others.map((entry) => notItsOwn(entry, shipper)),
  };
}

function isOwn({ kind, value }: Match, { siblings, ships }: ShippingPackage): boolean {
  switch (kind) {
    case 'exec':
    case 'script':
      return ships(value);
    case 'package':
      return siblings.has(value.replace(/:.*/, ''));
    case 'unit':
      return unitFiles(value).some(ships);
    case 'cgroup': {
      const [, unit] = UNIT_CGROUP.exec(value) ?? [];
      return unit !== undefined && unitFiles(unit).some(ships);
    }
    case 'desktop':
      return ships(`/usr/share/applications/${value}.desktop`);
    // Nobody's files: containers, bundles, accounts and the kernel have no package of the machine's behind them.
    case 'container':
    case 'flatpak':
    case 'snap':
    case 'user':
    case 'group':
    case 'kernel':
      return false;
  }
}

/** `getty@tty1.service` is made from `getty@.service`. */
function unitFiles(unit: string): string[] {
  const template = unit.replace(/@[^@]*(\.[^.]+)$/, '@$1');
  return UNIT_DIRECTORIES.flatMap((directory) => [...new Set([unit, template])].map((name) => `${directory}/${name}`));
}

function notItsOwn(entry: Match, shipper: Shipper): Diagnostic {
  const key = matchKey(entry);
  if (shipper.kind === 'nobody') {
    const message = `no installed package has this file, so it cannot say what ${key} is`;
    return diagnosticAt(
      entry.at,
      'error',
      'not-its-own',
      message,
      'policies of your own stand in /etc/pointsman/policies',
    );
  }
  const { name } = shipper;
  const message = `package ${name} may not say what ${key} is: it is not of its source package`;
  const hint = `to let it, write "packages: [${name}]" into /etc/pointsman/packages.yaml`;
  return diagnosticAt(entry.at, 'error', 'not-its-own', message, hint);
}
