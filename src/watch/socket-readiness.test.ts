import { describe, expect, it } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { EventFd } from '../kernel/event-fd.ts';
import { SocketReadiness } from './socket-readiness.ts';

const LONG_MS = 60_000;

describe('SocketReadiness', () => {
  it('SocketReadiness tells each that is ready, and lets the others wait', async () => {
    await using readiness = new SocketReadiness(testBackground);
    using first = EventFd.open();
    using second = EventFd.open();
    const both = [readiness.until(first.fd, 'readable', LONG_MS), readiness.until(second.fd, 'readable', LONG_MS)];
    second.signal();
    expect(await both[1]).toBe(true);
    first.signal();
    expect(await both[0]).toBe(true);
  });

  it('SocketReadiness tells what can be written apart from what can be read', async () => {
    await using readiness = new SocketReadiness(testBackground);
    using event = EventFd.open();
    expect(await readiness.until(event.fd, 'writable', LONG_MS)).toBe(true);
    expect(await readiness.until(event.fd, 'readable', 1)).toBe(false);
  });

  it('SocketReadiness waits for one again after its time was over', async () => {
    await using readiness = new SocketReadiness(testBackground);
    using event = EventFd.open();
    expect(await readiness.until(event.fd, 'readable', 1)).toBe(false);
    const again = readiness.until(event.fd, 'readable', LONG_MS);
    event.signal();
    expect(await again).toBe(true);
  });

  it('SocketReadiness ends all waits when it is disposed of, and takes no more', async () => {
    const readiness = new SocketReadiness(testBackground);
    using event = EventFd.open();
    const waits = [readiness.until(event.fd, 'readable', LONG_MS)];
    await readiness[Symbol.asyncDispose]();
    waits.push(readiness.until(event.fd, 'readable', LONG_MS));
    expect(await Promise.all(waits)).toEqual([false, false]);
  });
});
