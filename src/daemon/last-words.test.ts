import { describe, expect, it } from 'vitest';
import { lastWords } from './last-words.ts';

describe('lastWords', () => {
  it('lastWords() names what removes a policy that stays in force', () => {
    expect(lastWords('kept')).toMatch(/stay in force .* pointsman down removes them$/);
  });

  it('lastWords() says that nothing is left only where nothing is', () => {
    expect(lastWords({ failures: [], isPanicClosed: false })).toBe(
      'pointsman: stopped; nothing of pointsman is left in the kernel',
    );
    expect(lastWords({ failures: ['delete rule: refused'], isPanicClosed: false })).toMatch(
      /not everything could be removed \(delete rule: refused\): pointsman down/,
    );
    expect(lastWords({ failures: [], isPanicClosed: true })).toMatch(/pointsman panic off$/);
  });
});
