import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatMark } from '../net/mark.ts';
import { APP_CODE_FIRST, APP_LAST, MARK_ASK_AGAIN, PROGRAM_DAEMON, programMark, wayMark } from '../plan/reserved.ts';
import { type MarkNumbers, markInWords } from './mark-in-words.ts';

const numbers: MarkNumbers = {
  apps: new Map([['org.example.Mail', 3]]),
  uplinks: new Map([['wifi', 1]]),
  programs: { numbers: new Map([['exec:/usr/bin/mail', 5]]), none: 0x7f07 },
};

describe('markInWords', () => {
  it.each([
    [0, 'not decided, and nobody’s'],
    [0xca6c, 'a mark of wg-quick'],
    [0x00050000, 'not decided; a mark of somebody else'],
    [MARK_ASK_AGAIN, 'not decided any more: its next packet is asked about'],
    [wayMark(1) | 3, 'org.example.Mail, by uplink wifi'],
    [wayMark(0) | 3, 'org.example.Mail, by the system’s route'],
    [wayMark(126) | 0, 'no policy, by direct connection'],
    [wayMark(127) | 3, 'org.example.Mail: refused since its permission ended'],
    [wayMark(9) | 4, 'application 4, which has gone, by uplink 9, which has gone'],
    [wayMark(125) | 3, 'org.example.Mail, it came in'],
    [wayMark(0) | 0x7e03, 'came in before the daemon started, by the system’s route'],
    [wayMark(0) | 0x7f01, 'a packet on its way to be decided (code 1)'],
    [programMark(5), 'program 5, exec:/usr/bin/mail'],
    [programMark(5) | wayMark(1), 'program 5, exec:/usr/bin/mail, first routed by uplink wifi'],
    [programMark(6), 'program 6, which no policy names any more'],
    [programMark(PROGRAM_DAEMON), 'the daemon itself'],
    [programMark(0x7f07), 'a program that no policy names'],
    [programMark(0x7f06), 'a program that no policy named before the last change'],
  ])('markInWords says of %s what it stands for', (mark, meaning) => {
    expect(markInWords(mark >>> 0, numbers)).toMatchObject({ mark: formatMark(mark), meaning });
  });

  it('markInWords gives the parts as data', () => {
    expect(markInWords((wayMark(1) | 3) >>> 0, numbers)).toMatchObject({ app: 'org.example.Mail', way: 'uplink wifi' });
    expect(markInWords(programMark(5), numbers).program).toEqual({
      number: 5,
      name: 'exec:/usr/bin/mail',
      meaning: 'program 5, exec:/usr/bin/mail',
    });
  });

  it('markInWords has words for every mark, and takes no socket’s number for an application', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (mark) => {
        expect(markInWords(mark, numbers).meaning).not.toBe('');
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: APP_LAST }), (number) => {
        expect(markInWords(programMark(number), numbers).app).toBeUndefined();
      }),
    );
    expect(APP_CODE_FIRST).toBeGreaterThan(APP_LAST);
  });
});
