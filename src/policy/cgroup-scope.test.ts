import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CgroupScopes, scopesOfCgroup, unitOfCgroup } from './cgroup-scope.ts';

const ID = '4f5a'.repeat(16);
const UUID = '0b5c6f0e-52a5-4f8e-9d0c-0123456789ab';
const USER = '/user.slice/user-1000.slice/user@1000.service';

describe('scopesOfCgroup', () => {
  it.each<[string, CgroupScopes]>([
    ['/system.slice/ssh.service', { unit: 'ssh.service' }],
    [`/system.slice/docker-${ID}.scope`, { unit: `docker-${ID}.scope`, containerId: ID }],
    [`/machine.slice/libpod-${ID}.scope`, { unit: `libpod-${ID}.scope`, containerId: ID }],
    [`/machine.slice/libpod-${ID}.scope/container`, { containerId: ID }],
    [`/machine.slice/libpod-conmon-${ID}.scope`, { unit: `libpod-conmon-${ID}.scope` }],
    [
      `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod0.slice/cri-containerd-${ID}.scope`,
      { unit: `cri-containerd-${ID}.scope`, containerId: ID },
    ],
    [`/kubepods.slice/kubepods-pod0.slice/crio-${ID}.scope`, { unit: `crio-${ID}.scope`, containerId: ID }],
    [`/kubepods.slice/kubepods-pod0.slice/crio-conmon-${ID}.scope`, { unit: `crio-conmon-${ID}.scope` }],
    [`/system.slice/nerdctl-${ID}.scope`, { unit: `nerdctl-${ID}.scope`, containerId: ID }],
    [`/docker/${ID}`, { containerId: ID }],
    [`/kubepods/burstable/pod1b2c/${ID}`, { containerId: ID }],
    [`/kubepods/pod1b2c/${ID}`, { containerId: ID }],
    [`/libpod_parent/libpod-${ID}`, { containerId: ID }],
    [`/libpod_parent/libpod-${ID}/container`, { containerId: ID }],
    ['/machine.slice/machine-web\\x2d1.scope', { unit: 'machine-web\\x2d1.scope', machine: 'web-1' }],
    [
      `${USER}/app.slice/app-flatpak-org.example.Mail-4711.scope`,
      { flatpak: 'org.example.Mail', desktop: 'org.example.Mail' },
    ],
    [
      `${USER}/app.slice/app-flatpak-org.example.web\\x2dmail-4711.scope`,
      { flatpak: 'org.example.web-mail', desktop: 'org.example.web-mail' },
    ],
    [`${USER}/app.slice/snap.mail.mail-${UUID}.scope`, { snap: 'mail.mail' }],
    [`${USER}/app.slice/snap.web-mail.send-now-${UUID}.scope`, { snap: 'web-mail.send-now' }],
    [`${USER}/snap.mail_two.mail.${UUID}.scope`, { snap: 'mail_two.mail' }],
    ['/system.slice/snap.mail.daemon.service', { unit: 'snap.mail.daemon.service', snap: 'mail.daemon' }],
    [`${USER}/app.slice/app-gnome-org.example.Mail-4711.scope`, { desktop: 'org.example.Mail' }],
    [`${USER}/app.slice/app-gnome-web\\x2dmail-4711.scope`, { desktop: 'web-mail' }],
    [`${USER}/app.slice/app-org.example.Mail-4711.scope`, { desktop: 'org.example.Mail' }],
    [`${USER}/app.slice/app-org.example.Mail.service`, { desktop: 'org.example.Mail' }],
    [`${USER}/app.slice/app-org.example.Mail@autostart.service`, { desktop: 'org.example.Mail' }],
    [`${USER}/app.slice/app-KDE-org.example.Mail@${UUID}.service`, { desktop: 'org.example.Mail' }],
    [`${USER}/app.slice/app-flatpak-4711.scope`, { desktop: 'flatpak' }],
    ['/machine.slice/machine-web-1.scope', { unit: 'machine-web-1.scope' }],
    ['/', {}],
    ['', {}],
  ])('scopesOfCgroup reads %s', (path, scopes) => {
    expect(scopesOfCgroup(path)).toEqual(scopes);
  });

  it.each([
    `${USER}/app.slice/docker-${ID}.scope`,
    `${USER}/user.slice/libpod-${ID}.scope`,
    `${USER}/user.slice/libpod-${ID}.scope/container`,
    `/system.slice/docker-${ID}.scope/docker-${ID}.scope`,
    `/system.slice/docker-${ID}.scope/docker/${ID}`,
    `/system.slice/web.service/libpod-${ID}.scope`,
    `/docker/${ID}/docker/${ID}`,
    `/guest/${ID}`,
    `/docker/${ID}0`,
    `/docker/${ID.slice(1)}`,
    `/docker/${ID.toUpperCase()}`,
    `${USER}/machine-web.scope`,
    `/system.slice/web.service/app.slice/app-gnome-org.example.Mail-1.scope`,
    '/user.slice/user-1000.slice/user@1001.service/app.slice/app-gnome-org.example.Mail-1.scope',
    '/user.slice/user-1000.slice/session-2.scope/app-flatpak-org.example.Mail-1.scope',
    `${USER}/a.service/app-flatpak-org.example.Mail-1.scope`,
    `${USER}/app.slice/app-gnome-org.example.\\xe9-1.scope`,
    `${USER}/app.slice/app-gnome-org.example\\x2fMail-1.scope`,
    `${USER}/app.slice/app-gnome-org.example\\Mail-1.scope`,
    `${USER}/app.slice/app-a-b-c-d-1.scope`,
    `${USER}/app.slice/app-.scope`,
    `${USER}/app.slice/snap.mail-${UUID}.scope`,
    `/system.slice/${'a'.repeat(5000)}.service`,
  ])('scopesOfCgroup takes no name from %s', (path) => {
    expect(scopesOfCgroup(path)).toEqual({});
  });

  it('scopesOfCgroup gives every application the id that systemd-escape(1) wrote, and no other', () => {
    const id = fc.stringMatching(/^[A-Za-z0-9_.-]{1,40}$/);
    const escaped = (text: string) => text.replaceAll('-', '\\x2d');
    const launcher = fc.constantFrom('gnome', 'KDE', 'flatpak', 'snap', 'docker', 'a\\x2db');
    fc.assert(
      fc.property(launcher, id, fc.constantFrom(...['-1.scope', '@1.service', '.service']), (by, application, end) => {
        const found = scopesOfCgroup(`${USER}/app.slice/app-${by}-${escaped(application)}${end}`);
        const isFlatpak = by === 'flatpak' && end === '-1.scope';
        expect(found).toEqual({ ...(isFlatpak && { flatpak: application }), desktop: application });
      }),
      { numRuns: 1000 },
    );
  });

  it('scopesOfCgroup reads any path without throwing, and takes nothing below what it does not know', () => {
    const part = fc.oneof(
      fc.constantFrom(
        ...[
          'user.slice',
          'user-1000.slice',
          'user@1000.service',
          'docker',
          'kubepods',
          'pod1',
          'libpod_parent',
          'container',
        ],
        ...[
          ID,
          `docker-${ID}.scope`,
          `libpod-${ID}.scope`,
          `libpod-${ID}`,
          `snap.a.b-${UUID}.scope`,
          'machine-a.scope',
        ],
        ...['app-a-b-1.scope', 'app-flatpak-a.b.c-1.scope', 'app-a@b.service', '..', '\\x2d', '\\x'],
      ),
      fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !text.includes('/')),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), part, (above, last) => {
        const below = scopesOfCgroup(`/payload.service/payload/${above.join('/')}/${last}`);
        expect(Object.keys(below)).toEqual([]);
        const found = scopesOfCgroup(`${above.join('/')}/${last}`);
        if (found.unit !== undefined) expect(above.join('/')).not.toMatch(/\.(?:service|scope)(?:\/|$)/);
        if (found.containerId !== undefined) expect(found.containerId).toMatch(/^[0-9a-f]{64}$/);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('unitOfCgroup', () => {
  it('unitOfCgroup names units of the system manager, which puts them into slices only', () => {
    expect(unitOfCgroup('/system.slice/ssh.service')).toBe('ssh.service');
    expect(unitOfCgroup('/user.slice/user-1000.slice/session-3.scope')).toBe('session-3.scope');
    expect(unitOfCgroup(USER)).toBe('user@1000.service');
    expect(unitOfCgroup('/init.scope')).toBe('init.scope');
  });

  it.each([
    `${USER}/app.slice/ssh.service`,
    `${USER}/ssh.service`,
    '/machine.slice/web.service/payload/system.slice/ssh.service',
    '/docker/ssh.service',
    '/',
  ])('unitOfCgroup does not take a name from %s', (path) => {
    expect(unitOfCgroup(path)).toBeUndefined();
  });
});
