import { describe, expect, it } from 'vitest';
import type { Value } from '../dbus/decode-value.ts';
import { Reader } from '../dbus/decode-value.ts';
import { type Encodable, encodeValues } from '../dbus/encode-value.ts';
import { managedObjects } from './managed-objects.ts';
import { modems } from './modem-manager.ts';

const MM = 'org.freedesktop.ModemManager1';
const text = (variant: string): Encodable => ({ signature: 's', variant });
const number = (variant: number): Encodable => ({ signature: 'u', variant });

/** As the bus would bring it. */
function modem(registration: number, technologies: number) {
  const ports = {
    signature: 'a(su)',
    variant: [
      ['cdc-wdm0', 6],
      ['wwan0', 2],
      ['ttyUSB0', 3],
    ],
  };
  const general = new Map([
    ['Ports', ports],
    ['AccessTechnologies', number(technologies)],
  ]);
  const network = new Map([
    ['RegistrationState', number(registration)],
    ['OperatorName', text('Example Mobile')],
  ]);
  const interfaces = new Map([
    [`${MM}.Modem`, general],
    [`${MM}.Modem.Modem3gpp`, network],
  ]);
  const bytes = encodeValues('a{oa{sa{sv}}}', [new Map([['/org/freedesktop/ModemManager1/Modem/0', interfaces]])]);
  const answer: readonly Value[] = new Reader(bytes, true).values('a{oa{sa{sv}}}');
  return modems(managedObjects(answer));
}

describe('modems', () => {
  it('modems names the devices that carry packets, and says by what network', () => {
    const found = modem(1, (1 << 14) | (1 << 15));
    expect([...found.keys()]).toEqual(['wwan0']);
    expect(found.get('wwan0')).toEqual({
      telling: { by: 'ModemManager', told: { type: 'cellular', roaming: false } },
      technologies: ['LTE', '5G'],
      operator: 'Example Mobile',
    });
  });

  it.each([
    [1, false],
    [5, true],
    [10, true],
    [0, undefined],
    [2, undefined],
  ])('modems takes registration state %i for roaming %s', (state, roaming) => {
    expect(modem(state, 0).get('wwan0')?.telling.told.roaming).toBe(roaming);
  });

  it('modems takes all technologies for none that is known', () => {
    expect(modem(1, 0xffffffff).get('wwan0')?.technologies).toEqual([]);
  });
});
