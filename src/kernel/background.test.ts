import { EventEmitter, once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Background } from './background.ts';

let faults: unknown[];
let background: Background;
const fault = new Error('a fault');
const throws = (): never => {
  throw fault;
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  faults = [];
  background = new Background((thrown) => faults.push(thrown));
});

afterEach(() => expect(faults).toEqual([fault]));

describe('Background', () => {
  it('Background.handler() keeps a handler’s fault from the other handlers of an event', () => {
    const emitter = new EventEmitter();
    const heard: number[] = [];
    emitter.on('event', background.handler(throws)).on('event', (value: number) => heard.push(value));
    emitter.emit('event', 7);
    expect(heard).toEqual([7]);
  });

  it('Background.handler() hands on what an event says', () => {
    const emitter = new EventEmitter();
    emitter.on(
      'event',
      background.handler((a: number, b: number) => {
        if (a + b === 3) throw fault;
      }),
    );
    emitter.emit('event', 1, 2);
  });

  it('Background.handler() hears of an asynchronous handler’s fault', async () => {
    const emitter = new EventEmitter();
    emitter.on(
      'event',
      background.handler(async () => {
        await turn();
        throw fault;
      }),
    );
    emitter.emit('event');
    await turn();
    await turn();
  });

  it('Background.run() hears of a promise that is rejected, and of what is thrown at once', async () => {
    background.run(() => Promise.reject(fault));
    await turn();
  });

  it('Background.timeout() and immediate() hear of what they call', async () => {
    const ended = new EventEmitter();
    background.immediate(() => undefined);
    background.timeout(() => {
      background.timeout(() => ended.emit('end'), 0);
      throw fault;
    }, 0);
    await once(ended, 'end');
  });

  it('Background.interval() goes on after a fault', async () => {
    let calls = 0;
    await new Promise<void>((resolve) => {
      const timer = background.interval(() => {
        calls += 1;
        if (calls === 1) throw fault;
        clearInterval(timer);
        resolve();
      }, 1);
    });
    expect(calls).toBe(2);
  });
});
