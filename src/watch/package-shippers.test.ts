import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Shipper } from '../policy/package-claims.ts';
import { PackageShippers } from './package-shippers.ts';

const DIRECTORY = '/usr/share/pointsman/policies';
let root: string;
let shippers: PackageShippers;
const at = (path: string): string => join(root, path);

function put(path: string, text = ''): void {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(path), text);
}

const list = (name: string, ...files: string[]): void =>
  put(`/var/lib/dpkg/info/${name}.list`, `${files.join('\n')}\n`);

function status(...packages: (readonly [name: string, source?: string, state?: string])[]): void {
  const stanzas = packages.map(
    ([name, source, state = 'installed']) =>
      `Package: ${name}\nStatus: install ok ${state}\n${source === undefined ? '' : `Source: ${source}\n`}Architecture: amd64\n`,
  );
  put('/var/lib/dpkg/status', stanzas.join('\n'));
}

const shipperOf = (name: string): Shipper | undefined => shippers.shippers([name]).get(name);

function ships(name: string, path: string): boolean {
  const shipper = shipperOf(name);
  if (shipper?.kind !== 'package') throw new Error(`nobody ships ${name}`);
  return shipper.ships(path);
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'package-shippers-'));
  mkdirSync(at('usr/bin'), { recursive: true });
  symlinkSync('usr/bin', at('bin'));
  status(['ssh-client', 'openssh (1:9.2)'], ['ssh-server', 'openssh'], ['vim-tiny', 'vim'], ['curl']);
  for (const path of ['/usr/bin/ssh', '/usr/bin/sshd', '/usr/bin/vim.tiny', '/usr/bin/curl']) put(path);
  list('ssh-client', '/usr', '/usr/bin', '/bin/ssh', `${DIRECTORY}/ssh.yaml`);
  list('ssh-server', '/usr/bin/sshd');
  list('vim-tiny', '/usr/bin/vim.tiny', `${DIRECTORY}/vim.yaml`);
  list('curl', '/usr/bin/curl');
  shippers = new PackageShippers(DIRECTORY, root);
});

afterEach(() => rmSync(root, { recursive: true }));

describe('PackageShippers', () => {
  it('PackageShippers tells the package of a file, and all of the same source whatever their versions', () => {
    const shipper = shipperOf('ssh.yaml');
    expect(shipper).toMatchObject({ kind: 'package', name: 'ssh-client' });
    expect(shipper?.kind === 'package' && [...shipper.siblings].sort()).toEqual(['ssh-client', 'ssh-server']);
    expect(ships('ssh.yaml', '/usr/bin/sshd')).toBe(true);
    expect(ships('ssh.yaml', '/usr/bin/curl')).toBe(false);
    expect(shipperOf('put-there.yaml')).toEqual({ kind: 'nobody' });
  });

  it('PackageShippers follows the directories that were merged, from either side', () => {
    expect(ships('ssh.yaml', '/usr/bin/ssh')).toBe(true);
    expect(ships('ssh.yaml', '/bin/ssh')).toBe(true);
    expect(ships('ssh.yaml', '/bin/sshd')).toBe(true);
  });

  it('PackageShippers follows alternatives to the package whose program is chosen', () => {
    mkdirSync(at('etc/alternatives'), { recursive: true });
    symlinkSync('../../usr/bin/vim.tiny', at('etc/alternatives/editor'));
    symlinkSync('../../etc/alternatives/editor', at('usr/bin/editor'));
    expect(ships('vim.yaml', '/usr/bin/editor')).toBe(true);
    expect(ships('ssh.yaml', '/usr/bin/editor')).toBe(false);
  });

  it('PackageShippers does not take a link of a package for what it leads to', () => {
    symlinkSync('curl', at('usr/bin/mine'));
    list('vim-tiny', '/usr/bin/mine', `${DIRECTORY}/vim.yaml`);
    expect(ships('vim.yaml', '/usr/bin/mine')).toBe(false);
    mkdirSync(at('usr/lib/vim'), { recursive: true });
    symlinkSync('../../bin', at('usr/lib/vim/programs'));
    list('vim-tiny', '/usr/lib/vim', '/usr/lib/vim/programs', '/usr/lib/vim/programs/curl', `${DIRECTORY}/vim.yaml`);
    expect(ships('vim.yaml', '/usr/lib/vim/programs/ssh')).toBe(false);
  });

  it('PackageShippers knows diverted files by where they lie', () => {
    put('/var/lib/dpkg/diversions', '/usr/bin/ssh\n/usr/bin/ssh.distrib\nwrapper\n');
    status(['ssh-client', 'openssh'], ['wrapper']);
    put('/usr/bin/ssh.distrib');
    list('ssh-client', '/usr/bin/ssh', `${DIRECTORY}/ssh.yaml`);
    list('wrapper', '/usr/bin/ssh', `${DIRECTORY}/wrapper.yaml`);
    expect(ships('wrapper.yaml', '/usr/bin/ssh')).toBe(true);
    expect(ships('wrapper.yaml', '/usr/bin/ssh.distrib')).toBe(false);
    expect(ships('ssh.yaml', '/usr/bin/ssh.distrib')).toBe(true);
    expect(ships('ssh.yaml', '/usr/bin/ssh')).toBe(false);
  });

  it('PackageShippers speaks of what is unpacked now, and says where there is no dpkg', () => {
    const before = shippers.version();
    expect(before).toBeDefined();
    status(['ssh-client', 'openssh'], ['ssh-server', 'openssh', 'config-files'], ['curl']);
    expect(shippers.version()).not.toBe(before);
    expect(ships('ssh.yaml', '/usr/bin/sshd')).toBe(false);
    expect(shipperOf('vim.yaml')).toEqual({ kind: 'nobody' });
    rmSync(at('var/lib/dpkg'), { recursive: true });
    expect(shippers.version()).toBeUndefined();
    expect(shipperOf('ssh.yaml')).toEqual({ kind: 'nobody' });
  });
});
