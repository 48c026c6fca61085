import { statSync } from 'node:fs';
import { fileLooks } from '../kernel/file-looks.ts';
import { userModeNetworkPaths } from '../policy/user-mode-networks.ts';

/** Whether a program that serves network namespaces by sockets of its own is where packages put one. */
export function isUserModeNetworkHere(): boolean {
  return userModeNetworkPaths().some(
    (path) => fileLooks().answers(path) && statSync(path, { throwIfNoEntry: false }) !== undefined,
  );
}
