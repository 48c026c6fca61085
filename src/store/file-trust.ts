/** Who may change policy files: root, the owner of the directory given by `--root`, and the groups that default.yaml names. */
import { lstatSync } from 'node:fs';
import type { SystemDefault } from '../policy/model.ts';
import type { Trust } from './path-trust.ts';
import type { Paths } from './paths.ts';
import { readSourceFile } from './source-file.ts';

/** Further lines are not looked at, and trust nobody. */
const MAX_ACCOUNT_LINES = 100_000;

export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

const ACCOUNTS: AccountFiles = { passwd: '/etc/passwd', group: '/etc/group' };

/** Whom to believe about default.yaml itself: no file can add to it. */
export function ownTrust({ root }: Pick<Paths, 'root'>): Trust {
  const owner = root === '/' ? undefined : lstatSync(root, { throwIfNoEntry: false })?.uid;
  return { uids: new Set([0, ...(owner === undefined ? [] : [owner])]), gids: new Set([0]) };
}

/** Members of a trusted group own what they save, so they are trusted as well. A group that is not there adds nobody. */
export function withGroups(
  own: Trust,
  groups: SystemDefault['trustedGroups'] = [],
  accounts: AccountFiles = ACCOUNTS,
): Trust {
  if (groups.length === 0) return own;
  const wanted = new Set(groups.map(String));
  const found = linesOf(accounts.group).filter(([name, , gid]) => wanted.has(name ?? '') || wanted.has(gid ?? ''));
  const gids = new Set(found.flatMap(([, , gid]) => idOf(gid)));
  const members = new Set(found.flatMap(([, , , list = '']) => list.split(',')));
  const uids = linesOf(accounts.passwd)
    .filter(([name = '', , , gid]) => members.has(name) || idOf(gid).some((id) => gids.has(id)))
    .flatMap(([, , uid]) => idOf(uid));
  return { uids: new Set([...own.uids, ...uids]), gids: new Set([...own.gids, ...gids]) };
}

/** Equal ones let the same files be used. */
export function sameTrust(a: Trust, b: Trust): boolean {
  return sameIds(a.uids, b.uids) && sameIds(a.gids, b.gids);
}

function sameIds(a: ReadonlySet<number>, b: ReadonlySet<number>): boolean {
  return a.size === b.size && [...a].every((id) => b.has(id));
}

function linesOf(path: string): readonly (readonly string[])[] {
  const file = readSourceFile(path);
  if (file.kind !== 'read') return [];
  const text = new TextDecoder().decode(file.bytes);
  return text.split('\n', MAX_ACCOUNT_LINES).map((line) => line.split(':'));
}

function idOf(text: string | undefined): readonly number[] {
  return text !== undefined && /^\d{1,10}$/.test(text) ? [Number(text)] : [];
}
