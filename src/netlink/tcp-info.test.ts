import { describe, expect, it } from 'vitest';
import { capturedMessage } from './captured-messages.ts';
import { DecodeError } from './errors.ts';
import { decodeSocket, encodeSocketDump, TCP_ESTABLISHED } from './sock-diag.ts';
import { decodeTcpInfo, TCP_INFO_BYTES } from './tcp-info.ts';

const socket = decodeSocket(capturedMessage('socketTcpInfo'));

/** The attribute of the captured message: it is the longest. */
function capturedInfo(): Uint8Array {
  const { body } = capturedMessage('socketTcpInfo');
  return body.subarray(body.length - 280);
}

describe('decodeTcpInfo()', () => {
  it('decodeTcpInfo() reads what ss shows of the same connection', () => {
    expect(socket).toMatchObject({ state: TCP_ESTABLISHED, localPort: 4447, mark: 0x1008001 });
    expect(socket.tcpInfo).toEqual({
      state: TCP_ESTABLISHED,
      retransmits: 0,
      unacked: 0,
      lastDataReceivedMs: 0,
      lastAckReceivedMs: 0,
      rttMs: 0.008,
      totalRetransmits: 0,
      bytesAcked: 20001n,
      bytesReceived: 10000n,
      minRttMs: 0.006,
      dataSegmentsSent: 20,
    });
  });

  it('decodeTcpInfo() leaves out what an older kernel does not have', () => {
    const { bytesAcked, bytesReceived, minRttMs, dataSegmentsSent, ...old } = decodeTcpInfo(capturedInfo());
    expect([bytesAcked, bytesReceived, minRttMs, dataSegmentsSent]).toEqual([20001n, 10000n, 0.006, 20]);
    expect(decodeTcpInfo(capturedInfo().slice(0, 104))).toEqual(old);
  });

  it('decodeTcpInfo() needs no more than it asks for', () => {
    expect(decodeTcpInfo(capturedInfo().slice(0, TCP_INFO_BYTES))).toEqual(socket.tcpInfo);
  });

  it('decodeTcpInfo() refuses what is shorter than any kernel sends', () => {
    for (let length = 0; length < 104; length++) {
      expect(() => decodeTcpInfo(capturedInfo().slice(0, length))).toThrow(DecodeError);
    }
  });

  it('decodeTcpInfo() takes a shortest round trip that was never measured for none', () => {
    const info = capturedInfo().slice();
    info.fill(0xff, 148, 152);
    expect(decodeTcpInfo(info)).not.toHaveProperty('minRttMs');
  });
});

describe('encodeSocketDump()', () => {
  it('encodeSocketDump() asks for tcp_info by its bit', () => {
    const dump = { family: 4, protocol: 6, states: 1 << TCP_ESTABLISHED, tcpInfo: true } as const;
    expect([...encodeSocketDump(dump).body.subarray(0, 4)]).toEqual([2, 6, 2, 0]);
  });
});
