/**
 * What is behind pasta or slirp4netns connects by their sockets: its own program is nowhere to be seen. The other end counts what a
 * program got out that may not, or not by this uplink.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ProcessReport } from '../../src/api/who.ts';
import { openProc } from '../../src/kernel/proc.ts';
import type { Explanation } from '../../src/policy/explain.ts';
import { servedNamespaces } from '../../src/watch/served-namespaces.ts';
import { Machine } from './daemon/machine.ts';
import {
  type DaemonProcess,
  DEVICE,
  eventually,
  FIRST,
  NET,
  type Root,
  SECOND,
  SERVER4,
  SERVER6,
  setUplink,
} from './daemon/world.ts';
import { readableCopy } from './support/readable-copy.ts';
import { spawnBehind, type UserModeNetwork } from './support/user-mode-networks.ts';

const TRIES = 5;
/** As whatever serves the namespace hands it on. */
const REFUSED = /^(timeout|E[A-Z]+)$/;
const DENIED = 'denied';
const MAIL = 'mail';
const VIA_SECOND = 'via: { require: { type: cellular }, else: block }\n';
const KINDS = [
  ['tcp', SERVER4, 80],
  ['tcp', SERVER6, 80],
  ['udp', SERVER4, 7],
  ['udp', SERVER6, 7],
] as const;
const NETWORKS = ['pasta', 'slirp4netns'] as const;
const CASES = NETWORKS.flatMap((network) => KINDS.map((kind) => [network, ...kind] as const));

let root: Root;
let machine: Machine;
let daemon: DaemonProcess;
let client: string;

const inNet = (...args: readonly string[]): string =>
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, ...args], { encoding: 'utf8' });

function countArrivals(): void {
  const rules = ['n1', 'n2'].flatMap((device) =>
    [`ip daddr ${SERVER4}`, `ip6 daddr ${SERVER6}`].map((to) => `iifname "${device}" ${to} counter name ${device}`),
  );
  const chain = `chain c {\ntype filter hook prerouting priority -400;\n${rules.join('\n')}\n}`;
  execFileSync('nsenter', [`--net=/run/netns/${NET}`, 'nft', '-f', '-'], {
    input: `table inet arrivals {\ncounter n1 {}\ncounter n2 {}\n${chain}\n}\n`,
  });
}

/** Packets by the first and by the second uplink, since it was asked last. */
function arrived(): { readonly first: number; readonly second: number } {
  const of = (uplink: 'n1' | 'n2'): number => {
    const text = inNet('nft', '-j', 'reset', 'counter', 'inet', 'arrivals', uplink);
    const { nftables } = JSON.parse(text) as {
      readonly nftables: readonly { readonly counter?: { readonly packets: number } }[];
    };
    return nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
  };
  return { first: of('n1'), second: of('n2') };
}

/** One exchange of an application's program behind it: the address that the server saw, or an error's name. */
function onceBehind(
  network: UserModeNetwork,
  app: string,
  rest: readonly (string | number)[],
  by: string = network,
  starter: readonly string[] = [],
) {
  const child = spawnBehind(network, DEVICE, [root.program(app), client, ...rest.map(String)], { by, starter });
  return new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    child.once('close', (code) => (text === '' ? reject(new Error(`ended with ${code}`)) : resolve(text.trim())));
  });
}

const severalBehind = (...args: Parameters<typeof onceBehind>): Promise<string[]> =>
  Promise.all(Array.from({ length: TRIES }, () => onceBehind(...args)));

const nothing = { first: 0, second: 0 };

beforeAll(async () => {
  machine = await Machine.build();
  ({ root } = machine);
  chmodSync(root.dir, 0o755);
  client = readableCopy(join(import.meta.dirname, 'daemon/client.py'), join(root.dir, 'clients/client.py'));
  for (const app of [DENIED, MAIL, 'family']) root.program(app);
  daemon = await machine.startDaemon();
  countArrivals();
});

afterAll(() => machine?.[Symbol.asyncDispose]());

/** The files of one case, and nothing of it left. */
async function withPolicies(write: () => void): Promise<void> {
  write();
  await daemon.reload();
  arrived();
}

function removePolicies(): void {
  for (const app of [DENIED, MAIL, 'cgroup', 'family', 'network', 'other'])
    root.removeFile(`etc/pointsman/policies/${app}.yaml`);
  root.removeFile('etc/pointsman/default.yaml');
}

const policy = (app: string, match: string): string =>
  `pointsman: 1\napp: ${app}\nmatch: [${match}]\notherwise: deny\n`;
const userPolicy = (uid: number): string => policy('other', `{ user: ${uid} }`);

/** The process that joins the namespace to the device's. */
function serverOf(network: UserModeNetwork, inode: number): number | undefined {
  const proc = openProc();
  return proc
    .pids()
    .filter((pid) => proc.executable(pid)?.includes(network === 'pasta' ? '/passt' : network))
    .find((pid) => servedNamespaces(proc, pid).some((served) => served.inode === inode));
}

afterEach(removePolicies);

describe('a program that may not connect', () => {
  beforeEach(() => withPolicies(() => root.policy(DENIED, 'otherwise: deny\n')));

  it.each(CASES)('gets nothing out behind %s, %s to %s', async (network, ...rest) => {
    const results = await severalBehind(network, DENIED, rest);
    expect(arrived()).toEqual(nothing);
    for (const result of results) expect(result).toMatch(REFUSED);
  });

  it.each(NETWORKS)('gets nothing out behind a copy of %s under another directory', async (network) => {
    const copy = join(root.dir, 'elsewhere', network);
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(`/usr/bin/${network}`, copy);
    chmodSync(copy, 0o755);
    // The second time the file is known.
    for (let i = 0; i < 2; i++) await severalBehind(network, DENIED, KINDS[0], copy);
    expect(arrived()).toEqual(nothing);
  });
});

describe('a program that may connect by one uplink alone', () => {
  beforeEach(() => withPolicies(() => root.policy(MAIL, `otherwise: allow\n${VIA_SECOND}`)));

  it.each(CASES)('connects by no other behind %s, %s to %s', async (network, kind, host, port) => {
    const seen = host.includes(':') ? SECOND.v6 : SECOND.v4;
    expect(await severalBehind(network, MAIL, [kind, host, port])).toEqual(Array(TRIES).fill(seen));
    const { first, second } = arrived();
    expect(first).toBe(0);
    expect(second).toBeGreaterThanOrEqual(TRIES);
  });

  it.each(NETWORKS)('gets nothing out behind %s while that one is down', async (network) => {
    setUplink('2', 'down');
    try {
      await daemon.reload();
      await Promise.all(KINDS.map((kind) => onceBehind(network, MAIL, kind)));
      expect(arrived()).toEqual(nothing);
    } finally {
      setUplink('2', 'up');
    }
  });
});

describe('what user-mode networking itself may', () => {
  const allow = async (network: UserModeNetwork, because: string) => {
    expect(await onceBehind(network, DENIED, KINDS[0]), because).toBe(FIRST.v4);
    expect(arrived().second).toBe(0);
  };

  it.each(NETWORKS)('%s is as any program where nothing behind it can have a policy', async (network) => {
    await withPolicies(() => root.write(`etc/pointsman/policies/other.yaml`, userPolicy(12_345)));
    await allow(network, 'a policy of another user is about nothing behind it');
  });

  it.each(NETWORKS)('%s is as any program where the default says so', async (network) => {
    await withPolicies(() => {
      root.policy(DENIED, 'otherwise: deny\n');
      root.write('etc/pointsman/default.yaml', 'pointsman: 1\nuser-mode-networking: default\n');
    });
    await allow(network, 'the default says default');
  });

  it.each(NETWORKS)('%s connects to nobody where the default says so, and no policy is there', async (network) => {
    await withPolicies(() => root.write('etc/pointsman/default.yaml', 'pointsman: 1\nuser-mode-networking: deny\n'));
    for (const kind of KINDS.slice(0, 2)) expect(await onceBehind(network, DENIED, kind)).toMatch(REFUSED);
    expect(arrived()).toEqual(nothing);
  });

  it('pasta has the policy that names it, also as the file that it executes in its place', async () => {
    await withPolicies(() => {
      root.policy(DENIED, 'otherwise: deny\n');
      root.policy('network', `otherwise: allow\n${VIA_SECOND}`, '/usr/bin/pasta');
    });
    for (const [kind, host, port] of KINDS) {
      const seen = host.includes(':') ? SECOND.v6 : SECOND.v4;
      expect(await onceBehind('pasta', DENIED, [kind, host, port])).toBe(seen);
    }
    expect(arrived().first).toBe(0);
  });
});

describe('a policy that tells programs otherwise than by their files', () => {
  it.each(NETWORKS)('holds for what is behind %s in a cgroup of a policy', async (network) => {
    await withPolicies(() =>
      root.write('etc/pointsman/policies/cgroup.yaml', policy('cgroup', '{ cgroup: /pointsman-nobody-is-here }')),
    );
    await severalBehind(network, DENIED, KINDS[0]);
    expect(arrived()).toEqual(nothing);
  });

  it.each(NETWORKS)(
    'holds for a denied program behind %s that an allowed one with children: same starts',
    async (network) => {
      await withPolicies(() => {
        root.policy(DENIED, 'otherwise: deny\n');
        root.policy('family', 'otherwise: allow\nchildren: same\n');
      });
      const starter = [root.program('family'), '-c', 'import subprocess, sys; subprocess.run(sys.argv[1:])'];
      await severalBehind(network, DENIED, KINDS[0], network, starter);
      expect(arrived()).toEqual(nothing);
    },
  );
});

describe('a connection that lives', () => {
  it.each(NETWORKS)('loses its permission with a policy that may be about what is behind %s', async (network) => {
    await withPolicies(() => root.policy(MAIL, 'otherwise: allow\n'));
    const held = spawnBehind(network, DEVICE, [root.program(DENIED), client, 'hold', 'udp', SERVER4, '7']);
    const closed = once(held, 'close');
    const lines = createInterface({ input: held.stdout as Readable })[Symbol.asyncIterator]();
    const next = async (): Promise<string> => String((await lines.next()).value);
    try {
      expect(await next()).toBe(FIRST.v4);
      await withPolicies(() => root.policy(DENIED, 'otherwise: deny\n'));
      await eventually(
        async () => {
          held.stdin?.write('x\n');
          return await next();
        },
        (answer) => REFUSED.test(answer),
      );
      arrived();
      held.stdin?.write('x\n');
      expect(await next()).toMatch(REFUSED);
      expect(arrived()).toEqual(nothing);
    } finally {
      held.stdin?.end('x\n');
      await closed;
    }
  });
});

describe('who it is', () => {
  it.each(NETWORKS)('who and explain name the namespace behind %s, and who is in it', async (network) => {
    await withPolicies(() => root.policy(DENIED, 'otherwise: deny\n'));
    const held = spawnBehind(network, DEVICE, ['sh', '-c', 'readlink /proc/self/ns/net; echo $$; read -r _']);
    const closed = once(held, 'close');
    const lines = createInterface({ input: held.stdout as Readable })[Symbol.asyncIterator]();
    try {
      const inode = Number(/\d+/.exec(String((await lines.next()).value))?.[0]);
      const server = await eventually(
        () => serverOf(network, inode),
        (pid) => pid !== undefined,
      );
      const who = await daemon.ask<ProcessReport>('POST', '/v1/who', { pid: server });
      const [served] = who.process.serves ?? [];
      expect(served?.namespace).toBe(inode);
      expect(served?.processes.length).toBeGreaterThan(0);
      expect(who.application.because).toContain('user-mode networking');
      const explained = await daemon.ask<Explanation>('POST', '/v1/explain', {
        pid: server,
        host: SERVER4,
        protocol: 'tcp',
      });
      expect(explained.identity).toContain(`serves network namespace ${inode}`);
      expect(explained.flows[0]).toMatchObject({ verdict: 'reject', cause: 'denied' });
      expect(explained.flows[0]?.reason).toContain(`strictest of what may be behind it: ${DENIED}, otherwise`);
    } finally {
      held.stdin?.end('x\n');
      await closed;
    }
  });
});
