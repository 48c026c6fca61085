import { expect, it } from 'vitest';
import { mountPointOf, mountsElsewhere } from './mount-point.ts';

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

it('mountsElsewhere() names those of servers, of FUSE programs and of automounters', () => {
  expect([...mountsElsewhere(MOUNTINFO).devices]).toEqual(['0:40', '0:41', '0:43']);
  expect([...mountsElsewhere(MOUNTINFO).points]).toEqual(['/mnt/far', '/mnt/far/deep', '/auto']);
});
