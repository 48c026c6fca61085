import { describe, expect, it } from 'vitest';
import * as reserved from '../plan/reserved.ts';
import { MAX_PROGRAMS } from './maps.ts';
import { MARK_FOREIGN, MARK_NUMBER, MARK_OURS, MARK_SOCKET, MARK_UPLINK, PROGRAM_NONE_FIRST } from './mark.ts';

describe('the mark of a socket', () => {
  it('MARK_* and PROGRAM_* are those of the plan', () => {
    expect({ MARK_OURS, MARK_UPLINK, MARK_FOREIGN, MARK_SOCKET, PROGRAM_NONE_FIRST }).toEqual({
      MARK_OURS: reserved.MARK_OURS,
      MARK_UPLINK: reserved.MARK_UPLINK,
      MARK_FOREIGN: reserved.MARK_FOREIGN,
      MARK_SOCKET: reserved.MARK_SOCKET,
      PROGRAM_NONE_FIRST: reserved.PROGRAM_NONE_FIRST,
    });
    expect(MARK_NUMBER | MARK_SOCKET).toBe(reserved.MARK_APP);
    expect(MAX_PROGRAMS).toBe(MARK_NUMBER + 1);
    expect(reserved.PROGRAM_NONE_FIRST + reserved.PROGRAM_NONE_COUNT).toBe(MAX_PROGRAMS);
  });
});
