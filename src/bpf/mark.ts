/**
 * The mark of a socket, bits and bounds. They are those of `plan/reserved.ts`, which this layer may not import; a test
 * compares them.
 */
export const MARK_OURS = 0x80000000;
export const MARK_UPLINK = 0x7f000000;
export const MARK_FOREIGN = 0x00ff0000;
export const MARK_SOCKET = 0x00008000;
export const MARK_NUMBER = 0x00007fff;
/** Numbers from here on say that no policy names the program, and that its cgroup is known. */
export const PROGRAM_NONE_FIRST = 0x7f00;
