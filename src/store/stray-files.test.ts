import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Paths, pathsFor } from './paths.ts';
import { PolicyFiles } from './policy-files.ts';
import { MAX_STRAY_FILES, strayFiles } from './stray-files.ts';

let root: string;
let paths: Paths;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'stray-files-'));
  paths = pathsFor(root);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const POLICY = 'pointsman: 1\napp: mail\nmatch:\n  - exec: /usr/bin/mail\notherwise: deny\n';
const UPLINK = 'pointsman: 1\nuplink: wifi\ndevice: wlan0\ntype: wifi\n';
const PROFILE = 'pointsman: 1\nprofile: night\nwhen:\n  - between: ["22:00-06:00"]\n';
const DEFAULT = 'pointsman: 1\notherwise: deny\n';

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

const told = (): readonly string[] =>
  strayFiles(paths).map(({ severity, code, file, hint }) => {
    expect([severity, code]).toEqual(['warning', 'not-read']);
    return `${file.slice(root.length)}: ${hint?.replaceAll(root, '')}`;
  });

describe('strayFiles', () => {
  it.each([
    ['etc/pointsman/mail.yaml', POLICY, 'etc/pointsman/policies/mail.yaml'],
    ['etc/pointsman/policy/mail.yaml', POLICY, 'etc/pointsman/policies/mail.yaml'],
    ['etc/pointsman/Policies/mail.yaml', POLICY, 'etc/pointsman/policies/mail.yaml'],
    ['etc/pointsman/policies/sub/mail.yaml', POLICY, 'etc/pointsman/policies/mail.yaml'],
    ['etc/pointsman/policies/mail.conf', POLICY, 'etc/pointsman/policies/mail.yaml'],
    ['etc/pointsman/policies/mail.YAML', POLICY, 'etc/pointsman/policies/mail.yaml'],
    ['etc/pointsman/policies/mail.yaml.txt', POLICY, 'etc/pointsman/policies/mail.yaml'],
    ['etc/pointsman/policies/org.example.Mail', POLICY, 'etc/pointsman/policies/org.example.Mail.yaml'],
    ['etc/pointsman/locks/sub/mail.yaml', POLICY, 'etc/pointsman/locks/mail.yaml'],
    ['etc/pointsman/lock/wifi.yaml', UPLINK, 'etc/pointsman/uplinks/wifi.yaml'],
    ['etc/pointsman/uplinks/wifi.conf', UPLINK, 'etc/pointsman/uplinks/wifi.yaml'],
    ['etc/pointsman/profiles/night', PROFILE, 'etc/pointsman/profiles/night.yaml'],
    ['etc/pointsman/default.yml', DEFAULT, 'etc/pointsman/default.yaml'],
    ['etc/pointsman/defaults.yaml', DEFAULT, 'etc/pointsman/default.yaml'],
    ['etc/pointsman/default.conf', DEFAULT, 'etc/pointsman/default.yaml'],
    ['etc/pointsman/packages.yml', 'pointsman: 1\ntrusted: [a]\n', 'etc/pointsman/packages.yaml'],
    ['usr/share/pointsman/policies/sub/mail.yaml', POLICY, 'usr/share/pointsman/policies/mail.yaml'],
    ['var/lib/pointsman/policies/mail.json', POLICY, 'var/lib/pointsman/policies/mail.yaml'],
  ])('strayFiles() tells of %s, and where it belongs', (path, text, place) => {
    put(path, text);
    expect(told()).toEqual([`/${path}: mv /${path} /${place}`]);
    // What it says comes true: nothing of it holds before, and it is read behind.
    const before = new PolicyFiles(paths, { writesLastGood: false }).load();
    expect(before.policySet).toMatchObject({ apps: [], uplinks: [], systemDefault: { otherwise: { do: 'allow' } } });
    put(place, text);
    expect(told()).toEqual([`/${path}: /${place} is there already: what is to hold belongs in it`]);
  });

  it('strayFiles() leaves alone what is read, put aside, or nothing of ours', () => {
    put('etc/pointsman/policies/mail.yaml', POLICY);
    put('etc/pointsman/uplinks/wifi.yml', UPLINK);
    put('etc/pointsman/default.yaml', DEFAULT);
    for (const name of ['.mail.yaml', 'mail.yaml~', 'mail.yaml.dpkg-new', 'mail.yaml.bak', 'mail.yaml.disabled'])
      put(`etc/pointsman/policies/${name}`, POLICY);
    put('etc/pointsman/.git/mail.yaml', POLICY);
    put('etc/pointsman/README', 'Policies of this machine: see docs.\n');
    put('etc/pointsman/policies/notes.txt', 'mail needs 993\n');
    put('var/lib/pointsman/last-good/administrator/mail.yaml', POLICY);
    symlinkSync('/dev/zero', join(root, 'etc/pointsman/device'));
    symlinkSync('.', join(root, 'etc/pointsman/policies/loop'));
    symlinkSync('policies', join(root, 'etc/pointsman/again'));
    expect(told()).toEqual([]);
  });

  it('strayFiles() quotes names as a shell takes them', () => {
    put("etc/pointsman/policies/it's mine.conf", POLICY);
    expect(told()).toEqual([
      `/etc/pointsman/policies/it's mine.conf: mv '/etc/pointsman/policies/it'\\''s mine.conf' '/etc/pointsman/policies/it'\\''s mine.yaml'`,
    ]);
  });

  it('strayFiles() tells of so many, and looks at so many', () => {
    for (let i = 0; i < MAX_STRAY_FILES + 10; i += 1) put(`etc/pointsman/policies/sub/${i}.yaml`, POLICY);
    expect(strayFiles(paths)).toHaveLength(MAX_STRAY_FILES);
  });
});
