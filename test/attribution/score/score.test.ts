import { describe, expect, it } from 'vitest';
import { type Expected, type Sent, type Share, score, scoreWithoutDaemon } from './score.ts';

const SENT: Sent = { unit: 'packets', count: 10, bytes: 1280 };
const ALL = { count: 10, bytes: 1280 };
const MAIL: Expected = { app: 'mail' };
const OUTSIDE: Expected = { notGoverned: 'below' };
const of = (who: string, packets = 10): Share => ({ who, isApp: who === 'mail' || who === 'news', packets });

describe('score()', () => {
  it.each([
    ['PASS', MAIL, [of('mail')], ALL, ''],
    ['PARTIAL', MAIL, [of('mail', 9), of('unknown', 1)], ALL, 'a part held to be unknown'],
    ['PARTIAL', MAIL, [of('mail', 9)], { count: 9, bytes: 1152 }, '9 of 10 packets arrived'],
    ['PARTIAL', MAIL, [of('mail')], { count: 10, bytes: 1000 }, '1000 of 1280 bytes arrived'],
    ['FAIL', MAIL, [of('mail', 9), of('news', 1)], ALL, 'held to be news'],
    ['FAIL', MAIL, [of('unknown')], ALL, 'held to be unknown'],
    ['FAIL', MAIL, [], { count: 0, bytes: 0 }, 'nothing left the machine'],
    ['PASS', { app: 'no policy' }, [of('no policy')], ALL, ''],
    ['FAIL', { app: 'no policy' }, [of('mail')], ALL, 'held to be mail'],
    ['NOT GOVERNED', OUTSIDE, [], ALL, 'below'],
    ['NOT GOVERNED', OUTSIDE, [of('not asked')], ALL, 'below'],
    ['FAIL', OUTSIDE, [of('mail')], ALL, 'held to be mail'],
    ['FAIL', OUTSIDE, [], { count: 0, bytes: 0 }, '0 of 10 packets arrived'],
    ['PASS', { notAnApplication: 'the kernel' }, [of('not asked')], ALL, 'the kernel'],
    ['FAIL', { notAnApplication: 'the kernel' }, [of('news')], ALL, 'held to be news'],
  ] as const)('score() says %s of %j with %j', (verdict, expected, left, arrived, note) => {
    expect(score(expected, SENT, left, arrived)).toEqual({ verdict, note });
  });

  it.each([
    ['REFUSED', MAIL, [], { count: 0, bytes: 0 }],
    ['PASS', MAIL, [of('mail')], ALL],
    ['FAIL', MAIL, [of('news')], ALL],
    ['FAIL', MAIL, [of('no policy')], ALL],
    ['PARTIAL', MAIL, [of('mail', 9)], { count: 9, bytes: 1152 }],
    ['FAIL', MAIL, [], ALL],
    ['FAIL', OUTSIDE, [], { count: 0, bytes: 0 }],
    ['FAIL', { notAnApplication: 'the kernel' }, [], { count: 0, bytes: 0 }],
    ['REFUSED', { notAnApplication: 'another file', isAsked: true }, [], { count: 0, bytes: 0 }],
  ] as const)('scoreWithoutDaemon() says %s of %j with %j', (verdict, expected, left, arrived) => {
    expect(scoreWithoutDaemon(expected, SENT, left, arrived).verdict).toBe(verdict);
  });

  it('score() does not mind how often a SYN was sent again', () => {
    const sent: Sent = { unit: 'attempts', count: 1 };
    expect(score(MAIL, sent, [of('mail', 3)], { count: 3, bytes: 180 }).verdict).toBe('PASS');
    expect(score(MAIL, sent, [of('mail', 1)], { count: 0, bytes: 0 }).verdict).toBe('PARTIAL');
  });
});
