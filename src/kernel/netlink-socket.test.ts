import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { NETLINK_ROUTE } from '../netlink/uapi.ts';
import { KernelError } from './kernel-error.ts';
import { MSG_DONTWAIT, NetlinkSocket } from './netlink-socket.ts';

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_GETADDR = 22;
const IFINFOMSG_BYTES = 16;
const getLink = (index: number) => {
  const body = new Uint8Array(IFINFOMSG_BYTES);
  new DataView(body.buffer).setInt32(4, index, true);
  return { type: RTM_GETLINK, flags: 0, body };
};
const subject = { operation: 'get link', object: 'the test’s' };

describe('NetlinkSocket', () => {
  it('NetlinkSocket.dump() returns every object of a kind', () => {
    using socket = NetlinkSocket.open(NETLINK_ROUTE);
    const links = socket.dump(getLink(0), subject);
    expect(links.length).toBeGreaterThan(0);
    expect(new Set(links.map(({ type }) => type))).toEqual(new Set([RTM_NEWLINK]));
  });

  it('NetlinkSocket.request() returns the answer before the acknowledgement', () => {
    using socket = NetlinkSocket.open(NETLINK_ROUTE);
    expect(socket.request(getLink(1), subject).map(({ type }) => type)).toEqual([RTM_NEWLINK]);
  });

  it('NetlinkSocket.request() throws a KernelError that names the operation, the object and the errno', () => {
    using socket = NetlinkSocket.open(NETLINK_ROUTE);
    const refused = () => socket.request(getLink(0x7ffffff0), subject);
    expect(refused).toThrow(KernelError);
    expect(refused).toThrow(expect.objectContaining({ code: 'ENODEV', operation: 'get link', object: 'the test’s' }));
  });

  it('NetlinkSocket.request() gives the kernel’s own explanation where there is one', () => {
    using socket = NetlinkSocket.open(NETLINK_ROUTE);
    // Strict checking refuses a header that is too short, in words.
    expect(() => socket.dump({ type: RTM_GETADDR, flags: 0, body: new Uint8Array(1) }, subject)).toThrow(/header/);
  });

  it('NetlinkSocket answers later requests after one was refused', () => {
    using socket = NetlinkSocket.open(NETLINK_ROUTE);
    expect(() => socket.request(getLink(0x7ffffff0), subject)).toThrow();
    expect(socket.request(getLink(1), subject)).toHaveLength(1);
  });

  it('NetlinkSocket.receiveInto() returns the negative errno where nothing is there', () => {
    using socket = NetlinkSocket.open(NETLINK_ROUTE);
    expect(socket.receiveInto(new Uint8Array(64), MSG_DONTWAIT)).toBe(-constants.errno.EAGAIN);
  });

  it('NetlinkSocket.open() throws a KernelError for a protocol that does not exist', () => {
    expect(() => NetlinkSocket.open(31)).toThrow(expect.objectContaining({ code: 'EPROTONOSUPPORT' }));
  });

  it('NetlinkSocket is closed once only', () => {
    const socket = NetlinkSocket.open(NETLINK_ROUTE);
    socket[Symbol.dispose]();
    socket[Symbol.dispose]();
    expect(() => socket.request(getLink(1), subject)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });
});
