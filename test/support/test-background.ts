import { Background } from '../../src/kernel/background.ts';

/** Where nothing is expected to fail in the background: what does, fails the test. */
export const testBackground: Background = new Background((fault) => {
  queueMicrotask(() => {
    throw fault;
  });
});
