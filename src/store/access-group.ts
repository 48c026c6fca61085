/** The group of this machine whose members may talk to the daemon, as group(5) has it. */
import { readFileSync } from 'node:fs';

export const ACCESS_GROUP = 'pointsman';

export interface AccessGroup {
  readonly id: number;
  /** Names of users; those that have it as their own group in passwd(5) are not among them. */
  readonly members: readonly string[];
}

/** Undefined where the machine has none. */
export function readAccessGroup(groupPath = '/etc/group'): AccessGroup | undefined {
  const line = readText(groupPath)
    .split('\n')
    .find((text) => text.startsWith(`${ACCESS_GROUP}:`));
  const [, , id = '', members = ''] = line?.split(':') ?? [];
  return /^\d+$/.test(id) ? { id: Number(id), members: members.split(',').filter((name) => name !== '') } : undefined;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
