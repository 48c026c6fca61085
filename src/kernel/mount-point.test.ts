import { expect, it } from 'vitest';
import { answersByItself, layersOf, mountPointOf, mountsById } from './mount-point.ts';

const MOUNTINFO = [
  '22 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
  '23 22 0:21 / /proc rw - proc proc rw',
  '30 22 0:40 / /mnt/far rw,nosuid shared:7 - fuse.sshfs host: rw,user_id=0',
  '31 30 0:41 / /mnt/far/deep rw - nfs4 server:/x rw',
  '32 22 0:42 / /mnt/with\\040blank rw - tmpfs none rw',
  '33 22 0:43 / /auto rw - autofs systemd-1 rw',
].join('\n');

it('mountPointOf() is the deepest mount on the way, and nothing for the root', () => {
  expect(mountPointOf(MOUNTINFO, '/mnt/far/a/b')).toBe('/mnt/far');
  expect(mountPointOf(MOUNTINFO, '/mnt/far/deep')).toBe('/mnt/far/deep');
  expect(mountPointOf(MOUNTINFO, '/mnt/farther')).toBeUndefined();
  expect(mountPointOf(MOUNTINFO, '/mnt/with blank/x')).toBe('/mnt/with blank');
  expect(mountPointOf(MOUNTINFO, '/usr/bin/x')).toBeUndefined();
});

it('mountsById() says of each mount where it is and what is mounted, and answersByItself() believes only what it knows', () => {
  const mounts = mountsById(MOUNTINFO);
  expect(mounts.get(32n)).toEqual({ device: '0:42', point: '/mnt/with blank', type: 'tmpfs', options: 'rw' });
  expect([...mounts].filter(([, mount]) => answersByItself(mount)).map(([id]) => id)).toEqual([22n, 23n, 32n]);
  for (const type of ['overlay', 'fuseblk', 'fuse', '9p', 'tmpfs2', '']) expect(answersByItself({ type })).toBe(false);
});

it('layersOf() says of an overlay where its layers were, and nothing where that cannot be told', () => {
  const layers = (options: string): unknown => layersOf({ type: 'overlay', options });
  expect(layers('rw,lowerdir=/a:/b\\040c,upperdir=/u,workdir=/w,userxattr')).toEqual(['/a', '/b c', '/u']);
  expect(layers('rw,lowerdir+=/a,lowerdir+=/b,datadir+=/d')).toEqual(['/a', '/b', '/d']);
  expect(layers('ro,lowerdir=/a::/data')).toEqual(['/a', '/data']);
  expect(layers('rw,lowerdir=l/A:l/B,upperdir=/u')).toBeUndefined();
  expect(layers('rw,lowerdir=/a\\134:b,upperdir=/u')).toBeUndefined();
  expect(layers('rw')).toBeUndefined();
  expect(layersOf({ type: 'ext4', options: 'rw,lowerdir=/a' })).toBeUndefined();
});
