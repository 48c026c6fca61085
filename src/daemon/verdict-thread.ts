/**
 * The verdict thread: it blocks in poll(2) on the packet queue and on a wake-up descriptor, and answers in place, so that no
 * packet waits for an event loop. Started by VerdictChannel.
 */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { identifyFlow, openIdentitySources } from '../identify/identify-flow.ts';
import { Background } from '../kernel/background.ts';
import { borrowSocketMarks } from '../kernel/bpf/socket-mark-maps.ts';
import { EventFd } from '../kernel/event-fd.ts';
import { KernelError } from '../kernel/kernel-error.ts';
import { PollSet } from '../kernel/poll.ts';
import type { SharedSocketMarks } from '../kernel/socket-marks.ts';
import { systemClock } from '../kernel/system-clock.ts';
import { FaultNotes } from './fault-notes.ts';
import { listedScripts } from './listed-scripts.ts';
import { OncePerUser } from './once-per-user.ts';
import { ScriptGate } from './script-gate.ts';
import { VerdictLoop } from './verdict-loop.ts';
import { type FromVerdictThread, NO_QUEUE, type ToVerdictThread, type VerdictThreadStart } from './verdict-message.ts';
import { KernelQueue } from './verdict-queue.ts';
import { VerdictReporter } from './verdict-reporter.ts';
import { applyUpdate, type VerdictSnapshot } from './verdict-snapshot.ts';

/** `process.exit` waits for the thread to come out of poll(2), and so long at most. */
const MAX_POLL_MS = 500;
/** Places in the set of descriptors that are waited for; the queue is the first. */
const WAKE = 1;
const GATE = 2;

runOrRefuse(workerData as VerdictThreadStart);

function runOrRefuse(start: VerdictThreadStart): void {
  try {
    run(start);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const { operation, errno, object } = error;
    say(start, { kind: 'refused', operation, errno, object });
  } finally {
    start.port.close();
  }
}

function say(start: VerdictThreadStart, message: FromVerdictThread): void {
  start.port.postMessage(message);
}

function run(start: VerdictThreadStart): void {
  const marks = start.marks && borrowSocketMarks(start.marks);
  using sources = openIdentitySources(marks);
  const gate = openGate(start, marks);
  const { monotonicMs } = systemClock;
  const queuesSinceMs = monotonicMs();
  using queue = KernelQueue.open({ number: start.queueNumber, failOpen: isFailOpen(start.snapshot) });
  using _ = sayOpen(new Int32Array(start.queueFd), queue.fd);
  const wake = EventFd.borrow(start.wakeFd);
  const reporter = new VerdictReporter((batch) => say(start, { kind: 'events', ...batch }), new Int32Array(start.read));
  const faults = new FaultNotes();
  const background = new Background((fault) => {
    const note = faults.note(fault);
    if (note !== undefined) say(start, { kind: 'fault', ...note });
  });
  const loud = new OncePerUser();
  const told = new Int32Array(start.told);
  let obeyed = 0;
  let isStopping = false;
  let snapshot = start.snapshot;
  const loop = new VerdictLoop(
    {
      queue,
      queuesSinceMs,
      identify: (flow, hint) => identifyFlow(sources, flow, hint),
      confirm: (owner) => sources.creators?.confirm(owner) ?? owner,
      onFault: background.hear,
      report: (event) => reporter.report(event, monotonicMs()),
      onShareFull: (uid) => {
        if (loud.note(uid, monotonicMs())) say(start, { kind: 'share full', uid });
      },
      requestName: (name) => say(start, { kind: 'resolve', name }),
      monotonicMs,
      ownPid: process.pid,
      learnExecutables: (paths) => sources.executables.learn(paths),
      refresh: () => {
        if (Atomics.load(told, 0) !== obeyed) obeyAll();
      },
    },
    snapshot,
  );

  const beats = new Int32Array(start.beats);
  const publishScripts = (): void => {
    if (gate === undefined || snapshot.programs === undefined) return;
    gate.publish(listedScripts(loop.index, snapshot.programs));
  };
  publishScripts();

  const obey = (message: ToVerdictThread): void => {
    switch (message.kind) {
      case 'update':
        snapshot = applyUpdate(snapshot, message.update);
        loop.publish(snapshot);
        publishScripts();
        queue.setFailOpen(isFailOpen(snapshot));
        say(start, { kind: 'published', revision: snapshot.revision });
        break;
      case 'stats':
        reporter.flush();
        say(start, { kind: 'stats', id: message.id, stats: { ...loop.counts, eventsLost: reporter.lost } });
        break;
      case 'stop':
        isStopping = true;
    }
  };
  const obeyAll = (): void => {
    wake.drain();
    obeyed = Atomics.load(told, 0);
    for (let next = receiveMessageOnPort(start.port); next !== undefined; next = receiveMessageOnPort(start.port))
      obey(next.message as ToVerdictThread);
  };

  say(start, { kind: 'published', revision: snapshot.revision });
  say(start, { kind: 'ready' });
  const descriptors = new PollSet([queue.fd, wake.fd, ...(gate === undefined ? [] : [gate.fd])]);
  // Once before the first wait: packets that came while the queue was set up make no descriptor readable.
  loop.turn();
  for (;;) {
    const nowMs = monotonicMs();
    const timeoutMs = queue.hasEarly ? 0 : soonest(loop.timeoutMs, reporter.timeoutMs(nowMs));
    descriptors.wait(timeoutMs);
    Atomics.add(beats, 0, 1);
    if (descriptors.isReady(WAKE)) obeyAll();
    if (isStopping) break;
    // Whoever starts a script stands still until then; packets have their queue.
    if (gate !== undefined && descriptors.isReady(GATE)) background.run(() => gate.turn());
    loop.turn();
    reporter.flushIfDue(monotonicMs());
  }
  reporter.flush();
}

/** Until it is disposed of, which a thread that is ended from outside, or whose heap is used up, does not come to. */
function sayOpen(cell: Int32Array, fd: number): Disposable {
  Atomics.store(cell, 0, fd);
  return { [Symbol.dispose]: () => Atomics.store(cell, 0, NO_QUEUE) };
}

function openGate({ scriptsFd }: VerdictThreadStart, binder: SharedSocketMarks | undefined): ScriptGate | undefined {
  return scriptsFd === undefined || binder === undefined ? undefined : new ScriptGate({ fd: scriptsFd, binder });
}

/** Whole milliseconds for poll(2), never earlier than asked for. */
function soonest(a: number = MAX_POLL_MS, b: number = MAX_POLL_MS): number {
  return Math.min(Math.ceil(Math.min(a, b)), MAX_POLL_MS);
}

function isFailOpen({ policySet }: VerdictSnapshot): boolean {
  return policySet.systemDefault.whenAway === 'open';
}
