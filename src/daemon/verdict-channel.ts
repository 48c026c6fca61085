/** The main thread's end of the verdict thread. */

import { closeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { Background } from '../kernel/background.ts';
import { kernelErrorFromErrno } from '../kernel/errno.ts';
import { EventFd } from '../kernel/event-fd.ts';
import { endWithoutWaiting } from '../kernel/look-thread.ts';
import type { SocketMarksHandle } from '../kernel/socket-marks.ts';
import { faultOf } from './fault-notes.ts';
import {
  type FromVerdictThread,
  NO_QUEUE,
  type ToVerdictThread,
  type VerdictStats,
  type VerdictThreadStart,
} from './verdict-message.ts';
import type { EventBatch } from './verdict-reporter.ts';
import { diffSnapshot, type VerdictSnapshot } from './verdict-snapshot.ts';

/** A thread that does not end by itself in this time is broken off. */
const STOP_TIMEOUT_MS = 2000;

export interface VerdictChannelOptions {
  readonly background: Background;
  readonly queueNumber: number;
  readonly snapshot: VerdictSnapshot;
  readonly marks?: SocketMarksHandle;
  readonly scriptsFd?: number;
  readonly onEvents: (batch: EventBatch) => void;
  /** Flows wait for this name's addresses: publish a snapshot that knows them, or that it has none. */
  /** A user asks for more than his share; negative: no user of this machine does. Said once in a while. */
  readonly onShareFull: (uid: number) => void;
  readonly onResolveName: (name: string) => void;
  /** The thread has ended without being told to. Packets are not answered until another is started. */
  readonly onExit: (error: Error) => void;
}

interface PublishedRequest {
  readonly revision: number;
  readonly resolve: () => void;
}

interface StatsRequest {
  readonly resolve: (stats: VerdictStats) => void;
  readonly reject: (error: Error) => void;
}

export class VerdictChannel {
  readonly #options: VerdictChannelOptions;
  readonly #wake = EventFd.open();
  readonly #told = new Int32Array(new SharedArrayBuffer(4));
  readonly #read = new Int32Array(new SharedArrayBuffer(4));
  readonly #beats = new Int32Array(new SharedArrayBuffer(4));
  readonly #queueFd = new Int32Array(new SharedArrayBuffer(4)).fill(NO_QUEUE);
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #exited: Promise<void>;
  readonly #statsRequests = new Map<number, StatsRequest>();
  readonly #publishedRequests = new Set<PublishedRequest>();
  #published: VerdictSnapshot;
  #revisionInUse = -1;
  #nextId = 0;
  #failure: Error | undefined;
  #state: 'starting' | 'running' | 'closing' | 'ended' = 'starting';
  #onStarted: ((error?: Error) => void) | undefined;

  private constructor(options: VerdictChannelOptions) {
    this.#options = options;
    this.#published = options.snapshot;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const { background, queueNumber, snapshot, marks, scriptsFd } = options;
    const workerData: VerdictThreadStart = {
      port: port2,
      wakeFd: this.#wake.fd,
      told: this.#told.buffer as SharedArrayBuffer,
      read: this.#read.buffer as SharedArrayBuffer,
      queueNumber,
      snapshot,
      ...(marks !== undefined && { marks }),
      ...(scriptsFd !== undefined && { scriptsFd }),
      beats: this.#beats.buffer as SharedArrayBuffer,
      queueFd: this.#queueFd.buffer as SharedArrayBuffer,
    };
    this.#worker = new Worker(new URL('./verdict-thread.js', import.meta.url), { workerData, transferList: [port2] });
    this.#port.on(
      'message',
      background.handler((message: FromVerdictThread) => this.#hear(message)),
    );
    this.#worker.on(
      'error',
      background.handler((error: unknown) => {
        this.#failure ??= error instanceof Error ? error : new Error(String(error));
      }),
    );
    this.#exited = new Promise((done) => {
      this.#worker.once(
        'exit',
        background.handler((code: number) => {
          // Whatever its last words lead to, it has ended.
          done();
          this.#closeQueue();
          this.#end(code);
        }),
      );
    });
  }

  /** Resolves when packets are being answered. Rejects with KernelError: EBUSY, EPERM. */
  static async start(options: VerdictChannelOptions): Promise<VerdictChannel> {
    const channel = new VerdictChannel(options);
    await new Promise<void>((resolve, reject) => {
      channel.#onStarted = (error) => (error === undefined ? resolve() : reject(error));
    });
    return channel;
  }

  /** Counts the thread's signs of life. */
  get beats(): number {
    return Atomics.load(this.#beats, 0);
  }

  /** Packets that are sent from now on are decided by this snapshot; it must never change afterwards. */
  publish(snapshot: VerdictSnapshot): void {
    const update = diffSnapshot(this.#published, snapshot);
    this.#published = snapshot;
    this.#say({ kind: 'update', update });
  }

  /**
   * Resolves when no packet at all is answered by a snapshot before this revision any more: the thread has it or a later one
   * in use, or has ended.
   */
  published(revision: number): Promise<void> {
    if (this.#state === 'ended' || this.#revisionInUse >= revision) return Promise.resolve();
    return new Promise((resolve) => this.#publishedRequests.add({ revision, resolve }));
  }

  /** Rejects where the thread ends meanwhile. */
  stats(): Promise<VerdictStats> {
    return new Promise((resolve, reject) => {
      if (this.#state !== 'running') return reject(new Error('the verdict thread is not running'));
      const id = this.#nextId++;
      this.#statsRequests.set(id, { resolve, reject });
      this.#say({ kind: 'stats', id });
    });
  }

  /** Ends the thread. What waits in the queue is dropped by the kernel. */
  async close(): Promise<void> {
    if (this.#state === 'ended') return;
    this.#state = 'closing';
    this.#say({ kind: 'stop' });
    const timer = this.#options.background.timeout(() => this.#worker.terminate(), STOP_TIMEOUT_MS);
    // It may wait for a thread of its own that looks at what never answers.
    const late = delay(2 * STOP_TIMEOUT_MS, 'late' as const, { ref: false });
    const isLate = (await Promise.race([this.#exited, late])) === 'late';
    clearTimeout(timer);
    if (!isLate) return;
    endWithoutWaiting();
    this.#worker.unref();
    this.#end(0);
  }

  #say(message: ToVerdictThread): void {
    if (this.#state === 'ended') return;
    this.#port.postMessage(message);
    Atomics.add(this.#told, 0, 1);
    this.#wake.signal();
  }

  #hear(message: FromVerdictThread): void {
    switch (message.kind) {
      case 'ready':
        if (this.#state === 'starting') this.#state = 'running';
        this.#onStarted?.();
        break;
      case 'published':
        this.#revisionInUse = message.revision;
        this.#settlePublished(message.revision);
        break;
      case 'refused':
        this.#failure = kernelErrorFromErrno(message.operation, message.errno, message.object);
        break;
      case 'events':
        Atomics.add(this.#read, 0, message.events.length);
        this.#options.onEvents(message);
        break;
      case 'fault':
        this.#options.background.hear(faultOf(message));
        break;
      case 'resolve':
        this.#options.onResolveName(message.name);
        break;
      case 'share full':
        this.#options.onShareFull(message.uid);
        break;
      case 'stats':
        this.#statsRequests.get(message.id)?.resolve(message.stats);
        this.#statsRequests.delete(message.id);
        break;
    }
  }

  #settlePublished(upTo: number): void {
    for (const request of this.#publishedRequests) {
      if (request.revision > upTo) continue;
      this.#publishedRequests.delete(request);
      request.resolve();
    }
  }

  /** Where the thread did not come to close it: no other can have the queue before. */
  #closeQueue(): void {
    const fd = Atomics.exchange(this.#queueFd, 0, NO_QUEUE);
    if (fd !== NO_QUEUE) closeSync(fd);
  }

  #end(code: number): void {
    // The last words may still lie in the port, the reason of a refusal among them.
    for (let last = receiveMessageOnPort(this.#port); last !== undefined; last = receiveMessageOnPort(this.#port)) {
      this.#hear(last.message as FromVerdictThread);
    }
    const wasStarting = this.#state === 'starting';
    const wasClosing = this.#state === 'closing';
    this.#state = 'ended';
    this.#port.close();
    this.#wake[Symbol.dispose]();
    const error = this.#failure ?? new Error(`the verdict thread ended with code ${code}`);
    for (const { reject } of this.#statsRequests.values()) reject(error);
    this.#statsRequests.clear();
    this.#settlePublished(Number.POSITIVE_INFINITY);
    if (wasStarting) this.#onStarted?.(error);
    else if (!wasClosing) this.#options.onExit(error);
  }
}
