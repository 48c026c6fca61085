import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bundleRecord, dockerRecord, isContainerId, storageRecords } from './container-records.ts';

const ID = '4c01db0b339c1ac5c1e2b8d7f3a69c0de1f20b7e6a5d4c3b2a190817263544ff';
const POD = 'f'.repeat(64);

/** As `docker run --name web nginx` has it, shortened. */
const DOCKER_CONFIG = JSON.stringify({
  StreamConfig: {},
  State: { Running: true, Paused: false, Pid: 4242, StartedAt: '2024-05-13T09:12:44.123456789Z' },
  ID,
  Created: '2024-05-13T09:12:43.9Z',
  Path: '/docker-entrypoint.sh',
  Args: ['nginx', '-g', 'daemon off;'],
  Config: {
    Hostname: '4c01db0b339c',
    Image: 'nginx',
    Labels: { 'com.docker.compose.service': 'front', name: 'other' },
  },
  Name: '/web',
  Driver: 'overlay2',
});

/** As `podman run -d --name web` writes it. */
const PODMAN_CONTAINER = {
  id: ID,
  names: ['web'],
  image: '3f8a00f137a0d2c8a2163a09901e28e2471999fde4efc2f9570b91f1c30acf94',
  layer: 'a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4',
  metadata: '{"image-name":"docker.io/library/nginx:latest","image-id":"3f8a","name":"web","created-at":1715591563}',
  created: '2024-05-13T09:12:43.9Z',
  flags: { MountLabel: '', ProcessLabel: '' },
};

const CRIO_CONTAINER = {
  id: POD,
  names: ['k8s_proxy_front-7d4_shop_0b1c2d3e-aaaa-bbbb-cccc-1234567890ab_0'],
  metadata:
    '{"pod-name":"front-7d4","pod-id":"ab","name":"k8s_proxy_front-7d4_shop_0b1c2d3e-aaaa-bbbb-cccc-1234567890ab_0","metadata-name":"proxy","created-at":1715591563}',
};

function bundle(annotations: object): string {
  return JSON.stringify({ ociVersion: '1.1.0', process: { args: ['/bin/x'] }, root: { path: 'rootfs' }, annotations });
}

describe('dockerRecord', () => {
  it('dockerRecord gives the name without its slash, and no label', () => {
    expect(dockerRecord(DOCKER_CONFIG, ID)).toEqual([{ id: ID, names: ['web'] }]);
  });

  it('dockerRecord tells a damaged file from one without a name', () => {
    expect(dockerRecord(DOCKER_CONFIG.slice(0, -9), ID)).toBeUndefined();
    expect(dockerRecord('', ID)).toBeUndefined();
    expect(dockerRecord('{"Name":7}', ID)).toEqual([]);
    expect(dockerRecord('{"Name":"/"}', ID)).toEqual([]);
    expect(dockerRecord(`{"Name":"${'x'.repeat(256)}"}`, ID)).toEqual([]);
  });
});

describe('bundleRecord', () => {
  it("bundleRecord gives Kubernetes' and nerdctl's names", () => {
    const kubernetes = {
      'io.kubernetes.cri.container-name': 'nginx',
      'io.kubernetes.cri.container-type': 'container',
      'io.kubernetes.cri.sandbox-name': 'front-7d4',
    };
    expect(bundleRecord(bundle(kubernetes), ID)).toEqual([{ id: ID, names: ['nginx'] }]);
    expect(bundleRecord(bundle({ 'nerdctl/name': 'web' }), ID)).toEqual([{ id: ID, names: ['web'] }]);
  });

  it('bundleRecord finds no name in the pause container of a pod, nor in a bundle of Docker', () => {
    expect(bundleRecord(bundle({ 'io.kubernetes.cri.container-type': 'sandbox' }), ID)).toEqual([]);
    expect(bundleRecord('{"ociVersion":"1.1.0"}', ID)).toEqual([]);
    expect(bundleRecord('{"ociVersion":', ID)).toBeUndefined();
  });
});

describe('storageRecords', () => {
  it("storageRecords gives Podman's and CRI-O's containers", () => {
    expect(storageRecords(JSON.stringify([PODMAN_CONTAINER, CRIO_CONTAINER]))).toEqual([
      { id: ID, names: ['web'] },
      { id: POD, names: [...CRIO_CONTAINER.names, 'proxy'] },
    ]);
  });

  it('storageRecords passes over entries that are damaged', () => {
    const damaged = [
      null,
      7,
      [],
      { id: 'web', names: ['x'] },
      { id: ID.toUpperCase(), names: ['x'] },
      { id: POD, names: 'x' },
    ];
    expect(storageRecords(JSON.stringify([...damaged, { ...PODMAN_CONTAINER, metadata: '{' }]))).toEqual([
      { id: ID, names: ['web'] },
    ]);
    expect(storageRecords('{}')).toBeUndefined();
    expect(storageRecords('[')).toBeUndefined();
  });

  it('storageRecords takes few names of one container', () => {
    const names = Array.from({ length: 100 }, (_, i) => `n${i}`);
    expect(storageRecords(JSON.stringify([{ id: ID, names }]))?.[0]?.names).toHaveLength(16);
  });
});

describe('readers of container records', () => {
  it('dockerRecord, bundleRecord and storageRecords never throw, and give names only to ids', () => {
    const field = fc.constantFrom('Name', 'annotations', 'names', 'metadata', 'id', 'nerdctl/name', 'metadata-name');
    const known = fc.constantFrom(ID, '/web', '{"metadata-name":[]}', '__proto__');
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        known,
        fc.jsonValue(),
        fc.array(tie('any')),
        fc.dictionary(field, tie('any')),
      ),
    })).any;
    const text = fc.oneof(
      fc.string(),
      value.map((any) => JSON.stringify(any)),
    );
    const readers = [(any: string) => dockerRecord(any, ID), (any: string) => bundleRecord(any, ID), storageRecords];
    fc.assert(
      fc.property(text, (any) =>
        readers.every((read) =>
          (read(any) ?? []).every(
            ({ id, names }) => isContainerId(id) && names.every((name) => typeof name === 'string'),
          ),
        ),
      ),
      { numRuns: 2000 },
    );
  });
});
