/** What kind of radio a device is, by sysfs (Documentation/ABI/testing/sysfs-class-net): netlink does not say it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Link } from '../netlink/link.ts';
import type { DeviceClass } from './discover-uplinks.ts';

const SYS_CLASS_NET = '/sys/class/net';
const DEVTYPE = /^DEVTYPE=(.*)$/m;
const CLASS_OF_DEVTYPE: Readonly<Record<string, DeviceClass>> = {
  wlan: 'wifi',
  wwan: 'wwan',
  bluetooth: 'bluetooth',
};

/**
 * Undefined for other devices, and where /sys shows another namespace's devices than netlink: then the device of this name
 * there is another one.
 */
export function deviceClass(
  { name, index, hardwareAddress }: Link,
  directory: string = SYS_CLASS_NET,
): DeviceClass | undefined {
  const read = (file: string): string => readText(join(directory, name, file));
  if (read('ifindex') !== `${index}` || read('address') !== (hardwareAddress ?? '')) return undefined;
  const [, devtype = ''] = DEVTYPE.exec(read('uevent')) ?? [];
  const told = CLASS_OF_DEVTYPE[devtype];
  if (told !== undefined) return told;
  // Drivers without a DEVTYPE have at least one of the two, for the old and the new interface.
  const isWireless = ['wireless', 'phy80211'].some((file) => existsSync(join(directory, name, file)));
  return isWireless ? 'wifi' : undefined;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    // Gone meanwhile, or no sysfs here.
    return '';
  }
}
