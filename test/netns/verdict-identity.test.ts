/** Programs that hide from the real daemon who they are: the oracle is what leaves the device, and what the other end sees. */
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from './daemon/machine.ts';
import { type DaemonProcess, eventually, FIRST, inDevice, once, type Root, SERVER4 } from './daemon/world.ts';

const GUEST = '4242';
const OTHER_USER = '4243';
const PORT = 83;
const CLIENT = join(import.meta.dirname, 'daemon/client.py');
const PERL = '/usr/bin/perl';
const SEND_AND_END = `
use Socket; socket(S, AF_INET, SOCK_DGRAM, 0);
send(S, "x", 0, pack_sockaddr_in($ARGV[1], inet_aton($ARGV[0]))) or die $!`;

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;

/** Datagrams to PORT that left the device since it was built. */
function left(): number {
  const [, packets] = /counter packets (\d+)/.exec(inDevice('nft', 'list', 'table', 'inet', 'witness')) ?? [];
  return Number(packets);
}

function setDefault(text: string): Promise<unknown> {
  root.write('etc/pointsman/default.yaml', `pointsman: 1\n${text}`);
  return daemon.reload();
}

/** By a program that is called as one that a policy names: of others nobody is asked. */
function sendAndEnd(uid: string): void {
  const namesake = join(root.dir, 'elsewhere/mail');
  mkdirSync(dirname(namesake), { recursive: true });
  copyFileSync(PERL, namesake);
  inDevice('setpriv', '--reuid', uid, '--clear-groups', namesake, '-e', SEND_AND_END, SERVER4, `${PORT}`);
}

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  inDevice(
    'nft',
    `add table inet witness; add chain inet witness c { type filter hook postrouting priority 500; }; add rule inet witness c udp dport ${PORT} counter`,
  );
  // Other users have to start programs in it.
  chmodSync(root.dir, 0o755);
  root.policy('mail', 'otherwise: allow\n');
  root.write(
    'etc/pointsman/policies/guest.yaml',
    `pointsman: 1\napp: guest\nmatch: [{ user: ${GUEST} }]\notherwise: drop\n`,
  );
  daemon = await machine.startDaemon();
});

afterAll(() => machine?.[Symbol.asyncDispose]());

describe('the daemon', () => {
  it('the daemon holds a user to his policy whose program ended before anybody could look', async () => {
    const before = left();
    // It looks only when the programs and their sockets are gone.
    void daemon.signal('SIGSTOP');
    sendAndEnd(GUEST);
    sendAndEnd(OTHER_USER);
    void daemon.signal('SIGCONT');
    // Answers come in the order of the questions: when the second has left, the first has been decided.
    await eventually(
      async () => left() - before,
      (count) => count > 0,
    );
    expect(left() - before).toBe(1);
  });

  it('the daemon does not take a program for the one whose file it mounted itself over', async () => {
    await setDefault('otherwise: deny\n');
    const mail = root.program('mail');
    const forge = 'mount --bind "$1" "$2" && shift && exec "$@"';
    const forged = ['-Urm', 'sh', '-c', forge, 'sh', root.program('other'), mail, CLIENT, 'tcp', SERVER4, `${PORT}`];
    expect(await once(root, 'mail', 'tcp', SERVER4, PORT)).toBe(FIRST.v4);
    expect(inDevice('unshare', ...forged).trim()).toBe('ECONNREFUSED');
    expect(await once(root, 'mail', 'tcp', SERVER4, PORT)).toBe(FIRST.v4);
  });
});
