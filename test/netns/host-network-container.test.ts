/**
 * A container that has the machine's own network: a program in mount and pid namespaces of its own, at a path that is nowhere on this machine. It
 * is nobody's while no policy names it, whichever policies of the examples are in force.
 */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from './daemon/machine.ts';
import { type DaemonProcess, FIRST, inDevice, type Root, SECOND, SERVER4, SERVER6 } from './daemon/world.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');
const CLIENT = join(import.meta.dirname, 'daemon/client.py');
const PYTHON = realpathSync('/usr/bin/python3');
const PORT = 80;
/** The image: a file system that only this container sees. The namespaces of the network are left as they are. */
const IN_CONTAINER = `
mount -t tmpfs image /mnt && cp "$0" /mnt/app && exec /mnt/app "$@"
`;

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;

/** The address that the server saw, or an error's name. */
function fromContainer(kind: string, host: string): string {
  const namespaces = ['--mount', '--pid', '--ipc', '--uts', '--fork', '--mount-proc'];
  return inDevice('unshare', ...namespaces, 'sh', '-ec', IN_CONTAINER, PYTHON, CLIENT, kind, host, `${PORT}`).trim();
}

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  for (const file of readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml')))
    root.write(`etc/pointsman/policies/${file}`, readFileSync(join(EXAMPLES, file), 'utf8'));
  daemon = await machine.startDaemon();
});

afterAll(() => machine?.[Symbol.asyncDispose]());

describe('a container with the network of the machine', () => {
  it.each(['tcp', 'udp', 'udp-unconnected'])('connects by %s with every example in force', (kind) => {
    expect(fromContainer(kind, SERVER4)).toBe(FIRST.v4);
    expect(fromContainer(kind, SERVER6)).toBe(FIRST.v6);
  });

  it('takes the way of the default, and is refused where the default denies', async () => {
    root.write('etc/pointsman/default.yaml', 'pointsman: 1\nvia: { require: { type: cellular }, else: block }\n');
    await daemon.reload();
    for (const [host, own] of [
      [SERVER4, SECOND.v4],
      [SERVER6, SECOND.v6],
    ] as const)
      expect(fromContainer('tcp', host)).toBe(own);
    root.write('etc/pointsman/default.yaml', 'pointsman: 1\notherwise: deny\n');
    await daemon.reload();
    expect(fromContainer('tcp', SERVER4)).toBe('ECONNREFUSED');
  });
});
