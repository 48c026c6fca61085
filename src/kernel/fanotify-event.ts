/** Events of a fanotify group and answers to them as bytes (linux/fanotify.h, fanotify(7)). */
import { readI32, readU8, readU16, readU32, readU64 } from '../netlink/bytes.ts';
import { DecodeError } from '../netlink/errors.ts';

export const FAN_OPEN_PERM = 0x0001_0000;
export const FAN_Q_OVERFLOW = 0x4000;
/** In place of a descriptor: the event is about no file. */
export const FAN_NOFD = -1;
export const FAN_ALLOW = 1;
export const FANOTIFY_METADATA_VERSION = 3;
/** `struct fanotify_event_metadata`: u32 event_len, u8 vers, u8 reserved, u16 metadata_len, u64 mask, s32 fd, s32 pid. */
export const FAN_EVENT_METADATA_LEN = 24;
const VERS_OFFSET = 4;
const METADATA_LEN_OFFSET = 6;
const MASK_OFFSET = 8;
const FD_OFFSET = 16;
const PID_OFFSET = 20;

/** `pid`: the thread group of whoever opens, 0 where it is in a pid namespace that cannot be seen from here. */
export interface FanotifyEvent {
  /** Somebody waits for the answer. Such events have a descriptor. */
  readonly asksPermission: boolean;
  /** Events before this one were lost. */
  readonly overflow: boolean;
  /** Open for reading, and its use is told to nobody; FAN_NOFD, or below, where there is none. To be closed by the reader. */
  readonly fd: number;
  readonly pid: number;
}

/** What one read(2) returned. Throws DecodeError. */
export function decodeFanotifyEvents(bytes: Uint8Array): FanotifyEvent[] {
  const events: FanotifyEvent[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const length = readU32(bytes, offset);
    if (length < FAN_EVENT_METADATA_LEN || offset + length > bytes.length)
      throw new DecodeError(`event of ${length} bytes at offset ${offset}, ${bytes.length} there are`);
    const version = readU8(bytes, offset + VERS_OFFSET);
    if (version !== FANOTIFY_METADATA_VERSION) throw new DecodeError(`event of version ${version}`);
    const metadataLength = readU16(bytes, offset + METADATA_LEN_OFFSET);
    if (metadataLength < FAN_EVENT_METADATA_LEN || metadataLength > length)
      throw new DecodeError(`metadata of ${metadataLength} bytes in an event of ${length}`);
    const mask = readU64(bytes, offset + MASK_OFFSET);
    events.push({
      asksPermission: (mask & BigInt(FAN_OPEN_PERM)) !== 0n,
      overflow: (mask & BigInt(FAN_Q_OVERFLOW)) !== 0n,
      fd: readI32(bytes, offset + FD_OFFSET),
      pid: readI32(bytes, offset + PID_OFFSET),
    });
    offset += length;
  }
  return events;
}

/** `struct fanotify_response`: whoever waits for this event's descriptor goes on. */
export function encodeAllow(fd: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, fd, true);
  view.setUint32(4, FAN_ALLOW, true);
  return bytes;
}
