import { describe, expect, it } from 'vitest';
import { capturedMessage } from './captured-messages.ts';
import { DecodeError } from './errors.ts';
import { decodeInterface, encodeInterfaceDump } from './nl80211.ts';

/** As the kernel numbered nl80211 where the messages come from. */
const FAMILY = 32;
const IFTYPE = 5;
const IFTYPE_AP = 3;

/** The same with another type. Its attribute is 8 bytes, of which the last 4 are the type. */
function withType(type: number): ReturnType<typeof capturedMessage> {
  const message = capturedMessage('wirelessJoined');
  const body = message.body.slice();
  const at = Buffer.from(body).indexOf(Buffer.from([8, 0, IFTYPE, 0]));
  body[at + 4] = type;
  return { ...message, body };
}

describe('decodeInterface()', () => {
  it('decodeInterface() reads the network that a device is in', () => {
    expect(decodeInterface(capturedMessage('wirelessJoined'), FAMILY)).toEqual({ linkIndex: 2, ssid: 'Café guest' });
    expect(decodeInterface(capturedMessage('wirelessIdle'), FAMILY)).toEqual({ linkIndex: 2 });
  });

  it('decodeInterface() takes the SSID of an access point for no network that it is in', () => {
    expect(decodeInterface(withType(IFTYPE_AP), FAMILY)).toEqual({ linkIndex: 2 });
    expect(decodeInterface(withType(2), FAMILY)).toEqual({ linkIndex: 2, ssid: 'Café guest' });
  });

  it('decodeInterface() refuses a message of another family', () => {
    expect(() => decodeInterface(capturedMessage('wirelessJoined'), FAMILY + 1)).toThrow(DecodeError);
    expect(() => decodeInterface(capturedMessage('genericFamily'), FAMILY)).toThrow(DecodeError);
  });

  it('encodeInterfaceDump() asks for all devices', () => {
    expect(encodeInterfaceDump(FAMILY)).toEqual({ type: 32, flags: 0x301, body: new Uint8Array([5, 1, 0, 0]) });
  });
});
