/** What a looking thread is asked and answers, in memory that both threads see. */

/** Words of the shared state. */
export const ASKED = 0;
export const ANSWERED = 1;
export const REQUEST_BYTES = 2;
export const ANSWER_BYTES = 3;
/** How many bytes of `PLACE` say what is being looked at. */
export const PLACE_BYTES = 4;
export const THREAD_ID = 5;
export const STATE_WORDS = 8;
/** Of the request and of the answer, each. */
export const MAX_MESSAGE_BYTES = 262_144;
export const MAX_PLACE_BYTES = 4096;
/** Of a file's content in one answer: as JSON a byte may become six. */
export const CONTENT_BYTES = 32_768;
/** Of a directory in one answer; a name has 255 bytes at most (NAME_MAX). Separated by `/`. */
export const NAMES_AT_ONCE = 128;

export interface LookMemory {
  readonly state: Int32Array;
  readonly request: Uint8Array;
  readonly answer: Uint8Array;
  readonly place: Uint8Array;
}

/** Paths have one character for each byte (latin1). */
export interface LookRequest {
  readonly what: 'stat' | 'real path' | 'process path' | 'start' | 'start of descriptor' | 'content' | 'names';
  readonly path: string;
  /** Of `process path`: `/proc/PID`. */
  readonly processDir?: string;
  /** Of `start of descriptor`: the process's, and the inode of the file behind it, for it may be another one's by then. `path` is only told. */
  readonly descriptor?: { readonly fd: number; readonly inode: string };
  /** Of `start`, `start of descriptor` and `content`: so many bytes of the file are read. */
  readonly bytes?: number;
  /** Of `content`, in bytes, and of `names`: what comes before is left out. */
  readonly offset?: number;
  /** What is at or below these does not answer, and is not looked at. */
  readonly held: readonly string[];
}

/** Numbers as text, where there is something. */
export type LookAnswer =
  | { readonly kind: 'seen'; readonly text: string; readonly stat?: Readonly<Record<string, string>> }
  | { readonly kind: 'absent' }
  | { readonly kind: 'held' };

export function lookMemory(buffer: SharedArrayBuffer): LookMemory {
  const stateBytes = STATE_WORDS * Int32Array.BYTES_PER_ELEMENT;
  return {
    state: new Int32Array(buffer, 0, STATE_WORDS),
    request: new Uint8Array(buffer, stateBytes, MAX_MESSAGE_BYTES),
    answer: new Uint8Array(buffer, stateBytes + MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES),
    place: new Uint8Array(buffer, stateBytes + 2 * MAX_MESSAGE_BYTES, MAX_PLACE_BYTES),
  };
}

export const LOOK_MEMORY_BYTES: number =
  STATE_WORDS * Int32Array.BYTES_PER_ELEMENT + 2 * MAX_MESSAGE_BYTES + MAX_PLACE_BYTES;

/** Writes as much as there is room for; returns how much. */
export function putText(to: Uint8Array, text: string): number {
  return Buffer.from(to.buffer, to.byteOffset, to.byteLength).write(text, 'latin1');
}

export function textOf(from: Uint8Array, bytes: number): string {
  return Buffer.from(from.buffer, from.byteOffset, bytes).toString('latin1');
}
