import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Containers, MAX_CONTAINERS } from './containers.ts';

const DOCKER = 'var/lib/docker/containers';
const CONTAINERD = 'run/containerd/io.containerd.runtime.v2.task';
const PODMAN = 'var/lib/containers/storage/overlay-containers';
const LONG_AGO = 1_700_000_000;
const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const C = 'c'.repeat(64);
const D = 'd'.repeat(64);

let root: string;
const at = (path: string): string => join(root, path);

/** Runtimes replace their files. */
function put(path: string, value: unknown): void {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(`${path}.tmp`), typeof value === 'string' ? value : JSON.stringify(value));
  renameSync(at(`${path}.tmp`), at(path));
}

const docker = (id: string, name: string): void => put(`${DOCKER}/${id}/config.v2.json`, { ID: id, Name: `/${name}` });
const settle = (path: string): void => utimesSync(at(path), LONG_AGO, LONG_AGO);
const shown = (containers: Containers): object => Object.fromEntries(containers.names());

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'containers-'));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

describe('Containers', () => {
  it('Containers knows those of Docker, Podman, Kubernetes and nerdctl', () => {
    docker(A, 'web');
    put(`${PODMAN}/containers.json`, [{ id: B, names: ['db'] }]);
    put(`${PODMAN}/volatile-containers.json`, [{ id: C, names: ['once'] }]);
    put(`${CONTAINERD}/k8s.io/${D}/config.json`, { annotations: { 'io.kubernetes.cri.container-name': 'proxy' } });
    put(`${CONTAINERD}/default/${A}/config.json`, { annotations: { 'nerdctl/name': 'alias' } });
    put(`${CONTAINERD}/moby/${B}/config.json`, { ociVersion: '1.1.0' });
    expect(shown(new Containers(root))).toEqual({ [A]: ['alias', 'web'], [B]: ['db'], [C]: ['once'], [D]: ['proxy'] });
  });

  it('Containers leaves out those of users', () => {
    put('home/u/.local/share/containers/storage/overlay-containers/containers.json', [{ id: A, names: ['web'] }]);
    put('home/u/.local/share/docker/containers/x/config.v2.json', { Name: '/web' });
    expect(shown(new Containers(root))).toEqual({});
  });

  it('Containers gives the same map while nothing changed', () => {
    docker(A, 'web');
    const containers = new Containers(root);
    const first = containers.names();
    docker(A, 'web');
    mkdirSync(at(`${DOCKER}/not-an-id`));
    expect(containers.names()).toBe(first);
    docker(B, 'db');
    expect(containers.names()).not.toBe(first);
    const empty = new Containers(at('none'));
    expect(empty.names()).toBe(empty.names());
  });

  it('Containers follows those that come, go and are renamed', () => {
    docker(A, 'web');
    docker(B, 'db');
    const containers = new Containers(root);
    expect(shown(containers)).toEqual({ [A]: ['web'], [B]: ['db'] });
    docker(A, 'front');
    rmSync(at(`${DOCKER}/${B}`), { recursive: true });
    docker(C, 'new');
    expect(shown(containers)).toEqual({ [A]: ['front'], [C]: ['new'] });
  });

  it('Containers reads a file again that was written in two steps, however quickly', () => {
    const path = `${DOCKER}/${A}/config.v2.json`;
    const text = JSON.stringify({ Name: '/web' });
    // Whole seconds come back from utimes(2) as they were: these are the last ones that are recent in any case.
    const nowS = Math.ceil(Date.now() / 1000);
    put(path, text.slice(0, -1).padEnd(text.length));
    utimesSync(at(path), nowS, nowS);
    const containers = new Containers(root);
    expect(shown(containers)).toEqual({});
    writeFileSync(at(path), text);
    utimesSync(at(path), nowS, nowS);
    expect(shown(containers)).toEqual({ [A]: ['web'] });
  });

  it('Containers does not read a file again that has not changed for a while', () => {
    const path = `${DOCKER}/${A}/config.v2.json`;
    docker(A, 'web');
    settle(path);
    const containers = new Containers(root);
    expect(shown(containers)).toEqual({ [A]: ['web'] });
    writeFileSync(at(path), JSON.stringify({ ID: A, Name: '/xyz' }));
    settle(path);
    expect(shown(containers)).toEqual({ [A]: ['web'] });
    expect(shown(new Containers(root))).toEqual({ [A]: ['xyz'] });
  });

  it('Containers passes over damaged files', () => {
    docker(A, 'web');
    put(`${DOCKER}/${B}/config.v2.json`, '{"Name":');
    mkdirSync(at(`${DOCKER}/${C}/config.v2.json`), { recursive: true });
    put(`${PODMAN}/containers.json`, '\0\0\0');
    put(`${CONTAINERD}/default`, 'a file where a directory should be');
    expect(shown(new Containers(root))).toEqual({ [A]: ['web'] });
  });

  it('Containers has a bound', () => {
    const many = Array.from({ length: MAX_CONTAINERS + 10 }, (_, i) => ({
      id: String(i).padStart(64, '0'),
      names: ['n'],
    }));
    put(`${PODMAN}/containers.json`, many);
    expect(new Containers(root).names().size).toBe(MAX_CONTAINERS);
  });
});
