import { describe, expect, it } from 'vitest';
import { EventFd } from './event-fd.ts';
import { poll, pollInPool } from './poll.ts';

describe('EventFd', () => {
  it('EventFd makes poll return after a signal and not after it was drained', () => {
    using event = EventFd.open();
    expect(poll([event.fd], 0)).toEqual([]);
    event.signal();
    event.signal();
    expect(poll([event.fd], 0)).toEqual([event.fd]);
    event.drain();
    expect(poll([event.fd], 0)).toEqual([]);
  });

  it('EventFd.borrow() leaves the descriptor open', () => {
    using event = EventFd.open();
    EventFd.borrow(event.fd)[Symbol.dispose]();
    EventFd.borrow(event.fd).signal();
    expect(poll([event.fd], 0)).toEqual([event.fd]);
  });
});

describe('poll', () => {
  it('poll() returns only the descriptors that are ready', () => {
    using first = EventFd.open();
    using second = EventFd.open();
    second.signal();
    expect(poll([first.fd, second.fd], 1000)).toEqual([second.fd]);
  });
});

describe('pollInPool', () => {
  it('pollInPool() resolves with the descriptors that are ready, which may become so while it waits', async () => {
    using first = EventFd.open();
    using second = EventFd.open();
    const ready = pollInPool([first.fd, second.fd], 10_000);
    second.signal();
    expect(await ready).toEqual([second.fd]);
  });

  it('pollInPool() resolves with none when the time is over', async () => {
    using event = EventFd.open();
    expect(await pollInPool([event.fd], 1)).toEqual([]);
  });
});
