/** Link-layer addresses in hexadecimal, as sysfs shows them: `02:00:5e:10:00:01`. */
export function hardwareAddressText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
