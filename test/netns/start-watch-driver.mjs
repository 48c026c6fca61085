// A start that is watched. First argument: what becomes of it.

import { START_STEPS, StartWatch } from '../../dist/daemon/start-watch.js';
import { Background } from '../../dist/kernel/background.js';

const background = new Background((fault) => console.error(fault));
const blockMs = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

// The thread has to be there to be proved wrong.
const started = () => new Promise((done) => setTimeout(done, 500));

switch (process.argv[2]) {
  case 'block': {
    const watch = new StartWatch({ background, slowMs: 100, withinMs: 1000 });
    watch.at('the first plan');
    blockMs(Number.POSITIVE_INFINITY);
    break;
  }
  case 'go on': {
    const watch = new StartWatch({ background, slowMs: 5000, withinMs: 5000 });
    await started();
    for (const step of START_STEPS) {
      watch.at(step);
      blockMs(600);
    }
    watch[Symbol.dispose]();
    break;
  }
  default: {
    const watch = new StartWatch({ background, slowMs: 100, withinMs: 200 });
    watch[Symbol.dispose]();
    await started();
    blockMs(500);
  }
}
