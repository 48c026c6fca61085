import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseShebang, SHEBANG_LIMIT_BYTES } from './shebang.ts';

describe('parseShebang()', () => {
  it.each([
    ['#!/bin/sh\nx', '/bin/sh', false, []],
    ['#! \t/usr/bin/awk -f \t\nBEGIN', '/usr/bin/awk', false, ['-f']],
    ['#!/usr/bin/make -s -f\n', '/usr/bin/make', false, ['-s -f']],
    ['#!/usr/bin/env jq\n', 'jq', true, []],
    ['#!/usr/bin/env -S A=1 jq -r -f\n', 'jq', true, ['-r', '-f']],
    ['#!/usr/bin/env /opt/jq\n', '/opt/jq', false, []],
    ['#!/bin/sh', '/bin/sh', false, []],
  ])('parseShebang() reads %j', (text, interpreter, isSearched, before) => {
    expect(parseShebang(text)).toEqual({ interpreter, isSearched, before });
  });

  it.each(['', '#!', '#!\n/bin/sh', '# !/bin/sh', '\x7fELF', '#!/usr/bin/env\n', '#!/usr/bin/env -S\n'])(
    'parseShebang() finds none in %j',
    (text) => {
      expect(parseShebang(text)).toBeUndefined();
    },
  );

  it('parseShebang() reads no further than the kernel, and never throws', () => {
    expect(parseShebang(`#!/${'x'.repeat(1000)}`)?.interpreter).toHaveLength(SHEBANG_LIMIT_BYTES - 2);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        parseShebang(`#!${text}`);
      }),
    );
  });
});
