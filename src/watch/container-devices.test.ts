import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cgroupTreeAt } from '../kernel/cgroup.ts';
import { FakeKernel, fakeLink } from '../kernel/fake/fake-kernel.ts';
import type { Link } from '../netlink/link.ts';
import { emptyIndex } from '../policy/match-app.ts';
import { containerDevices } from './container-devices.ts';

const at = { file: 'test.yaml', line: 1, column: 1 };
const WEB = 'a'.repeat(64);
const SIDECAR = 'b'.repeat(64);
const scope = (id: string): string => `/system.slice/docker-${id}.scope`;
const policy = { app: 'web', match: [], rules: [], files: [] };
const NAMES = new Map([
  [WEB, ['web']],
  [SIDECAR, ['sidecar']],
]);

const index = {
  ...emptyIndex(),
  byContainer: new Map([['web', { policy, match: { kind: 'container', value: 'web', at } as const }]]),
  byUnit: new Map([['ssh.service', { policy, match: { kind: 'unit', value: 'ssh.service', at } as const }]]),
};

let mountDir: string;
let kernel: FakeKernel;

function cgroup(path: string, procs: string): void {
  mkdirSync(join(mountDir, path), { recursive: true });
  writeFileSync(join(mountDir, path, 'cgroup.procs'), procs);
}

const pair = (deviceIndex: number, namespace?: number, more: Partial<Link> = {}): Link =>
  fakeLink({
    index: deviceIndex,
    name: `veth${deviceIndex}`,
    kind: 'veth',
    ...(namespace !== undefined && { linkNamespaceId: namespace }),
    ...more,
  });

const devices = (...paths: readonly string[]) =>
  containerDevices(
    { routing: kernel.routing, cgroups: cgroupTreeAt(mountDir) },
    index,
    paths.map((path, i) => ({ path, id: BigInt(i), level: 2 })),
    NAMES,
  );

beforeEach(() => {
  mountDir = mkdtempSync(join(tmpdir(), 'container-devices-'));
  kernel = new FakeKernel({
    links: [pair(9, 3), pair(7, 3), pair(8, 4), pair(6), pair(5, 3, { kind: 'wireguard', name: 'wg0' })],
  });
  kernel.routing.setNamespaceIds(
    new Map([
      [100, 3],
      [200, 4],
    ]),
  );
});
afterEach(() => rmSync(mountDir, { recursive: true, force: true }));

describe('containerDevices()', () => {
  it('finds the ends of the pairs that lead to a container, and no tunnels', () => {
    cgroup(scope(WEB), '100\n101\n');
    expect(devices(scope(WEB))).toEqual([
      { device: 'veth7', deviceIndex: 7, cgroups: [scope(WEB)] },
      { device: 'veth9', deviceIndex: 9, cgroups: [scope(WEB)] },
    ]);
  });

  it('leaves out an end whose name cannot be written in a ruleset', () => {
    cgroup(scope(WEB), '100\n');
    kernel = new FakeKernel({ links: [pair(7, 3), pair(8, 3, { name: 'v"; drop' }), pair(9, 3, { name: 'v*' })] });
    kernel.routing.setNamespaceIds(new Map([[100, 3]]));
    expect(devices(scope(WEB)).map(({ device }) => device)).toEqual(['veth7']);
  });

  it('looks for a process below a cgroup that has none itself', () => {
    cgroup(scope(WEB), '');
    cgroup(`${scope(WEB)}/init.scope/deep`, '0\n200\n');
    expect(devices(scope(WEB)).map(({ device }) => device)).toEqual(['veth8']);
  });

  it('tells nothing of containers that no policy names, and of what is named otherwise', () => {
    cgroup(scope(SIDECAR), '100\n');
    cgroup('/system.slice/ssh.service', '100\n');
    expect(devices(scope(SIDECAR), '/system.slice/ssh.service')).toEqual([]);
  });

  it('tells nothing of a container that is gone, is empty, or has this machine’s own network', () => {
    expect(devices(scope(WEB))).toEqual([]);
    cgroup(scope(WEB), '\n');
    expect(devices(scope(WEB))).toEqual([]);
    cgroup(scope(WEB), '300\n');
    expect(devices(scope(WEB))).toEqual([]);
  });

  it('names all containers of a namespace that policies name', () => {
    const both = new Map([
      ['web', { policy, match: { kind: 'container', value: 'web', at } as const }],
      ['sidecar', { policy, match: { kind: 'container', value: 'sidecar', at } as const }],
    ]);
    cgroup(scope(SIDECAR), '200\n');
    cgroup(scope(WEB), '200\n');
    const paths = [scope(SIDECAR), scope(WEB)].map((path) => ({ path, id: 1n, level: 2 }));
    const sources = { routing: kernel.routing, cgroups: cgroupTreeAt(mountDir) };
    expect(containerDevices(sources, { ...index, byContainer: both }, paths, NAMES)).toEqual([
      { device: 'veth8', deviceIndex: 8, cgroups: [scope(WEB), scope(SIDECAR)] },
    ]);
  });
});
