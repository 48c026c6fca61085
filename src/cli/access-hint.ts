/** What is missing for somebody who is not root to talk to the daemon: only the steps that are. */
import { statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { ACCESS_GROUP, type AccessGroup, readAccessGroup } from '../store/access-group.ts';

export interface Access {
  readonly group: AccessGroup | undefined;
  /** Group of the daemon's socket; undefined where it cannot be looked at. */
  readonly socketGroupId: number | undefined;
  readonly user: string;
  /** Of this login. */
  readonly groupIds: readonly number[];
}

/** A line to type. The daemon reads the group when it starts, and a login its groups when it begins. */
export function accessHint({ group, socketGroupId, user, groupIds }: Access): string {
  const isIn = group !== undefined && groupIds.includes(group.id);
  const isListed = isIn || (group?.members.includes(user) ?? false);
  const commands = [
    ...(group === undefined ? [`sudo groupadd --system ${ACCESS_GROUP}`] : []),
    ...(isListed ? [] : [`sudo usermod -aG ${ACCESS_GROUP} "$USER"`]),
  ];
  const isToldOfGroup = group !== undefined && (socketGroupId === undefined || socketGroupId === group.id);
  const afterwards = [...(isToldOfGroup ? [] : ['start the daemon again']), ...(isIn ? [] : ['log in again'])];
  const then = afterwards.join(' and ');
  if (commands.length === 0) return then === '' ? 'use sudo' : `use sudo, or ${then}: you are in the group`;
  return `use sudo; or once: ${commands.join(' && ')}${then === '' ? '' : `, then ${then}`}`;
}

/** Never throws. */
export function lookAtAccess(socketPath: string): Access {
  return {
    group: readAccessGroup(),
    socketGroupId: socketGroupIdOf(socketPath),
    user: userName(),
    groupIds: process.getgroups?.() ?? [],
  };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // Ignoring it: a number without a name is in no list of names.
    return '';
  }
}

function socketGroupIdOf(path: string): number | undefined {
  try {
    return statSync(path).gid;
  } catch {
    return undefined;
  }
}
