import { describe, expect, it } from 'vitest';
import type { FileIdentity } from '../kernel/file-identity.ts';
import { openProc } from '../kernel/proc.ts';
import { BROKERS, isBroker } from './socket-broker.ts';

const file = (inode: bigint): FileIdentity => ({ device: 1n, inode, uid: 0n, birthNs: 0n, modifiedNs: 0n });
const running = (inode: bigint | undefined) => ({
  ...openProc('/nowhere'),
  executableFile: () => (inode === undefined ? undefined : file(inode)),
});

describe('isBroker', () => {
  it.each(BROKERS)('isBroker() takes a process for one that runs the very file %s', (path) => {
    expect(isBroker(path, running(1n), 10, () => file(1n))).toBe(true);
  });

  it('isBroker() does not believe a name: not in another directory, of another file, or of none', () => {
    const [broker = ''] = BROKERS;
    expect(isBroker('/home/eve/systemd', running(1n), 10, () => file(1n))).toBe(false);
    expect(isBroker(broker, running(2n), 10, () => file(1n))).toBe(false);
    expect(isBroker(broker, running(undefined), 10, () => file(1n))).toBe(false);
    expect(isBroker(broker, running(1n), 10, () => undefined)).toBe(false);
    expect(isBroker(broker, running(undefined), 10, () => undefined)).toBe(false);
  });
});
