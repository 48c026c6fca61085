import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readAccessGroup } from '../store/access-group.ts';
import { type Access, accessHint, lookAtAccess } from './access-hint.ts';

const MAKE = 'sudo groupadd --system pointsman';
const JOIN = 'sudo usermod -aG pointsman "$USER"';

describe('accessHint', () => {
  const group = { id: 990, members: ['bob'] };
  const alice = { user: 'alice', groupIds: [1000, 27] };
  it.each<[string, Access, string]>([
    [
      'there is no group',
      { ...alice, group: undefined, socketGroupId: 0 },
      `use sudo; or once: ${MAKE} && ${JOIN}, then start the daemon again and log in again`,
    ],
    ['he is not in it', { ...alice, group, socketGroupId: 990 }, `use sudo; or once: ${JOIN}, then log in again`],
    [
      'he is not in it, and the daemon is older than the group',
      { ...alice, group, socketGroupId: 0 },
      `use sudo; or once: ${JOIN}, then start the daemon again and log in again`,
    ],
    [
      'his login is older than his being in it',
      { ...alice, user: 'bob', group, socketGroupId: 990 },
      'use sudo, or log in again: you are in the group',
    ],
    [
      'the daemon is older than the group alone',
      { user: 'bob', groupIds: [990], group, socketGroupId: 0 },
      'use sudo, or start the daemon again: you are in the group',
    ],
    [
      'it is his own group by passwd, and the daemon is older',
      { user: 'carol', groupIds: [990], group, socketGroupId: 0 },
      'use sudo, or start the daemon again: you are in the group',
    ],
    ['nothing is missing that can be seen', { user: 'bob', groupIds: [990], group, socketGroupId: 990 }, 'use sudo'],
  ])('accessHint says the steps that are missing where %s', (_, access, hint) => {
    expect(accessHint(access)).toBe(hint);
  });

  it('lookAtAccess() looks at the machine, and at no socket without a throw', () => {
    expect(lookAtAccess('/nonexistent/pointsman.sock')).toMatchObject({ socketGroupId: undefined });
  });
});

describe('readAccessGroup', () => {
  it.each([
    ['root:x:0:\npointsman:x:990:alice,bob\n', { id: 990, members: ['alice', 'bob'] }],
    ['pointsman:x:990:\n', { id: 990, members: [] }],
    ['pointsmen:x:990:alice\n', undefined],
    ['pointsman:x::alice\n', undefined],
  ])('readAccessGroup reads %j', (text, expected) => {
    const directory = mkdtempSync(join(tmpdir(), 'group-'));
    try {
      writeFileSync(join(directory, 'group'), text);
      expect(readAccessGroup(join(directory, 'group'))).toEqual(expected);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
