import { describe, expect, it } from 'vitest';
import { type AbsentDaemon, describeAbsentDaemon } from './absent-daemon.ts';

const SILENT: AbsentDaemon = { kind: 'not answering', pid: 7, stopped: true, waiting: 0, panic: false };

describe('describeAbsentDaemon()', () => {
  it.each<[AbsentDaemon, string, string]>([
    [{ kind: 'starting', pid: 7 }, 'is starting (process 7)', 'sudo pointsman status'],
    [{ kind: 'socket gone', pid: 7 }, 'the file of its control socket is gone', 'sudo kill 7'],
    [SILENT, 'is stopped (process 7): its last policies are in force', 'sudo kill -CONT 7'],
    [{ ...SILENT, panic: true }, '"panic closed" is in force, too', 'sudo kill -CONT 7'],
    [{ ...SILENT, stopped: false, forMs: 10_000 }, 'has not answered for 10 s (process 7)', 'sudo kill -KILL 7'],
    [{ ...SILENT, stopped: false, waiting: 2 }, 'does not answer (process 7)', 'sudo kill -KILL 7'],
    [{ kind: 'rules left', panic: false }, 'the rules of one are in force', 'sudo pointsman down'],
    [{ kind: 'before first start', panic: false }, '"plan --static" are in force', 'sudo pointsman up'],
    [{ kind: 'rules left', panic: true }, '"panic closed" is in force, too (sudo pointsman panic off)', 'pointsman up'],
    [{ kind: 'panic' }, '"panic closed" is in force', 'sudo pointsman panic off'],
    [{ kind: 'none' }, 'the daemon is not running', 'sudo pointsman up'],
    [{ kind: 'none seen' }, 'only root may see', 'sudo pointsman status'],
  ])('describeAbsentDaemon() says of %j in one line what holds, and what to type', (absent, message, hint) => {
    const described = describeAbsentDaemon(absent);
    expect(described.message).toContain(message);
    expect(described.message).not.toContain('\n');
    expect(described.hint).toContain(hint);
  });
});
