import { describe, expect, it } from 'vitest';
import { capturedMessage } from './captured-messages.ts';
import { decodeLink, encodeLinkDump, RTM_DELLINK } from './link.ts';

describe('decodeLink()', () => {
  it('reads a veth device that is up, and which is its other end', () => {
    expect(decodeLink(capturedMessage('linkVeth'))).toEqual({
      index: 2,
      name: 'v1',
      type: 1,
      up: true,
      running: true,
      lowerUp: true,
      loopback: false,
      bridgePortEvent: false,
      operationalState: 'up',
      kind: 'veth',
      hardwareAddress: expect.stringMatching(/^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/),
      mtu: 1500,
      carrierLosses: 1,
      lowerIndex: 3,
    });
  });

  it('reads a tun device that is down', () => {
    const down = { up: false, running: false, lowerUp: false, operationalState: 'down' };
    expect(decodeLink(capturedMessage('linkTun'))).toMatchObject({ name: 't0', type: 65534, kind: 'tun', ...down });
  });

  it('reads which namespace the other end of a veth device is in', () => {
    expect(decodeLink(capturedMessage('linkOfOtherNamespace'))).toMatchObject({ name: 'vh', linkNamespaceId: 0 });
    expect(decodeLink(capturedMessage('linkVeth'))).not.toHaveProperty('linkNamespaceId');
  });

  it('tells a device that left its bridge from one that is gone', () => {
    const message = { ...capturedMessage('linkVeth'), type: RTM_DELLINK };
    const body = message.body.slice();
    body[0] = 7;
    expect(decodeLink(message).bridgePortEvent).toBe(false);
    expect(decodeLink({ ...message, body }).bridgePortEvent).toBe(true);
  });
});

describe('encodeLinkDump()', () => {
  it('asks for all devices', () => {
    expect(encodeLinkDump()).toEqual({ type: 18, flags: 0x301, body: new Uint8Array(16) });
  });
});
