/** Names of users and groups, for people: passwd(5), group(5). */
import type { AccountEvidence } from '../api/who.ts';
import { readText } from '../watch/read-text.ts';

/** A million users have 100 MB; then people see numbers. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;
const FILES = { user: '/etc/passwd', group: '/etc/group' } as const;

/** The first name that has this number. */
export function account(kind: 'user' | 'group', id: number, path: string = FILES[kind]): AccountEvidence {
  const name = readText(path, MAX_FILE_BYTES)
    .split('\n')
    .map((line) => line.split(':', 3))
    .find(([, , number]) => number === String(id))?.[0];
  return { id, ...(name !== undefined && name !== '' && { name }) };
}
