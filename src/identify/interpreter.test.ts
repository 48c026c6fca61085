import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { startsAsInterpreter } from '../bpf/interpreter-start.ts';
import { isInterpreter, MAX_OPTIONS, mainProgram } from './interpreter.ts';

/** Words by spaces, the first one being the name it was called by. */
const programOf = (executable: string, words: string): string | undefined =>
  mainProgram(executable, words.split(' '))?.paths[0];

describe('mainProgram()', () => {
  it.each([
    ['/usr/bin/python3.11', 'python3 x.py'],
    ['/usr/bin/python3.11', 'python3 -u x.py y.py'],
    ['/usr/bin/python3.13t', 'python3 -uB -W ignore -Xdev -X utf8 -- x.py'],
    ['/usr/bin/python3.11', 'python3 -uW ignore --check-hash-based-pycs always x.py'],
    ['/usr/bin/pypy3.9', 'pypy3 x.py'],
    ['/usr/bin/dash', '/bin/sh x.py'],
    ['/usr/bin/bash', 'bash -euo pipefail x.py'],
    ['/usr/bin/bash', '-bash -oe pipefail x.py'],
    ['/usr/bin/bash', 'bash --norc --rcfile rc -O extglob +x +o history - x.py'],
    ['/usr/bin/zsh', 'zsh -o shwordsplit --emulate sh x.py'],
    ['/usr/bin/busybox', '/bin/sh -e x.py'],
    ['/usr/bin/busybox', 'busybox ash x.py'],
    ['/usr/bin/fish', 'fish -C true x.py'],
    ['/usr/bin/node', 'node --max-old-space-size=100 -r ./a.js --require b.js --import=c.js x.py'],
    ['/usr/bin/node', 'node inspect x.py'],
    ['/root/.deno/bin/deno', 'deno run --allow-net --config c.json x.py'],
    ['/usr/bin/perl', 'perl -w -I lib -Ilib2 -MCwd -0777 x.py'],
    ['/usr/bin/ruby3.1', 'ruby -W2 -r json -Ilib x.py'],
    ['/usr/bin/php8.2', 'php -d a=b -f x.py -- y.php'],
    ['/usr/bin/php8.2', 'php -nfx.py'],
    ['/usr/bin/php8.2', 'php --file=x.py'],
    ['/usr/bin/lua5.4', 'lua -e a=1 -l socket x.py'],
    ['/usr/bin/tclsh8.6', 'tclsh -encoding utf-8 x.py'],
    ['/usr/lib/jvm/java-17/bin/java', 'java -Xmx1g -cp a:b --add-opens java.base/java.lang=ALL-UNNAMED -jar x.py -v'],
    ['/usr/lib/jvm/java-17/bin/java', 'java @options --source 17 x.py'],
    ['/usr/bin/wine64-preloader', '/usr/bin/wine64-preloader /usr/bin/wine64 x.py -jar y'],
    ['/usr/bin/mono-sgen', 'mono --debug --config c x.py'],
    ['/usr/lib/R/bin/exec/R', 'R --no-echo --no-restore --file=x.py --args y'],
    ['/usr/bin/guile', 'guile -L lib -s x.py'],
    ['/usr/bin/gjs-console', 'gjs -I lib x.py'],
  ])('mainProgram() finds x.py: %s as %s', (executable, words) => {
    expect(programOf(executable, words)).toBe('x.py');
  });

  it.each([
    ['/usr/bin/python3.11', 'python3 -c pass x.py'],
    ['/usr/bin/python3.11', 'python3 -Bc pass x.py'],
    ['/usr/bin/python3.11', 'python3 -m pdb x.py'],
    ['/usr/bin/python3.11', 'python3 - x.py'],
    ['/usr/bin/python3.11', 'python3'],
    ['/usr/bin/dash', 'sh -ec cat x.py'],
    ['/usr/bin/dash', 'sh -s x.py'],
    ['/usr/bin/busybox', 'cat x.py'],
    ['/usr/bin/busybox', 'busybox vi x.py'],
    ['/usr/bin/busybox', 'busybox cat sh x.py'],
    ['/usr/bin/node', 'node -e 1 x.py'],
    ['/usr/bin/node', 'node --eval=1 x.py'],
    ['/usr/bin/perl', 'perl -ne print x.py'],
    ['/usr/bin/perl', 'perl -E print x.py'],
    ['/usr/bin/ruby3.1', 'ruby -e 1 x.py'],
    ['/usr/bin/php8.2', 'php -r 1 x.py'],
    ['/usr/lib/jvm/java-17/bin/java', 'java -m a/b x.py'],
    ['/usr/bin/cat', 'cat x.py'],
    ['/usr/bin/vim.basic', 'vim x.py'],
    ['/usr/bin/pythonista', 'python3 x.py'],
    ['/usr/bin/git', 'python3 x.py'],
  ])('mainProgram() finds none: %s as %s', (executable, words) => {
    expect(programOf(executable, words)).toBeUndefined();
  });

  it('mainProgram() takes the class of java for the program, not a jar after it', () => {
    expect(programOf('/usr/bin/java', 'java -cp a Main -jar x.jar')).toBe('Main');
  });

  it('mainProgram() names what node tries after the name itself', () => {
    expect(mainProgram('node', ['node', 'server'])?.paths).toEqual(['server', 'server.js', 'server/index.js']);
    expect(mainProgram('python3', ['python3', 'tool'])?.paths).toEqual(['tool', 'tool/__main__.py']);
  });

  it('mainProgram() bears empty and missing arguments', () => {
    expect(mainProgram('/usr/bin/python3', [])).toBeUndefined();
    expect(mainProgram('/usr/bin/python3', [''])).toBeUndefined();
    expect(mainProgram('/usr/bin/python3', ['', ''])).toBeUndefined();
    expect(mainProgram('/usr/bin/busybox', [])).toBeUndefined();
  });

  it('mainProgram() gives up behind more options than its bound', () => {
    const options = (count: number): string[] => ['sh', ...Array.from({ length: count }, () => '-e'), 'x.sh'];
    expect(mainProgram('dash', options(MAX_OPTIONS - 1))?.paths).toEqual(['x.sh']);
    expect(mainProgram('dash', options(MAX_OPTIONS))).toBeUndefined();
  });

  it('mainProgram() names one of the arguments, or an end of one, whatever they are', () => {
    const executable = fc.constantFrom(
      'python3',
      'bash',
      'busybox',
      'node',
      'perl',
      'php',
      'java',
      'wine',
      'R',
      'deno',
    );
    const arg = fc.oneof(
      fc.constantFrom('-', '--', '-jar', '-c', '-f', '--file=a', '-o', '+o', 'sh', 'run', '@a', '-rf', ''),
      fc.string({ maxLength: 6 }),
    );
    fc.assert(
      fc.property(executable, fc.array(arg, { maxLength: 8 }), (name, args) => {
        const path = mainProgram(name, args)?.paths[0];
        if (path !== undefined) expect(args.slice(1).some((one) => one.endsWith(path))).toBe(true);
      }),
    );
  });
});

describe('isInterpreter()', () => {
  it('isInterpreter() knows file names, not what contains them', () => {
    expect(['/usr/bin/python3.11', 'nodejs', '/opt/jdk/bin/java'].map(isInterpreter)).toEqual([true, true, true]);
    expect(['/usr/bin/python3/x', 'mypython', 'bash-completion', ''].map(isInterpreter)).toEqual(Array(4).fill(false));
  });

  it('isInterpreter() knows nothing that the kernel’s own list lacks: without a daemon that is what may run a script', () => {
    const names = [
      ...[
        'python',
        'python3.11',
        'python3.13t',
        'python3-dbg',
        'pypy3.9',
        'sh',
        'ash',
        'dash',
        'bash',
        'rbash',
        'zsh-5.9',
        'zsh',
      ],
      ...[
        'ksh',
        'ksh93',
        'mksh',
        'oksh',
        'pksh',
        'lksh',
        'rksh',
        'yash',
        'posh',
        'busybox',
        'toybox',
        'fish',
        'node',
        'nodejs',
      ],
      ...[
        'bun',
        'deno',
        'perl',
        'perl5.36.0',
        'ruby3.1',
        'jruby',
        'truffleruby',
        'php8.2',
        'lua5.4',
        'luajit-2.1',
        'tclsh8.6',
      ],
      ...[
        'wish',
        'java',
        'wine',
        'wine64-preloader',
        'wine-stable',
        'mono',
        'mono-sgen64',
        'R',
        'guile-3.0',
        'gjs',
        'gjs-console',
      ],
    ];
    expect(names.filter((name) => !isInterpreter(name) || !startsAsInterpreter(name))).toEqual([]);
  });

  it('isInterpreter() is true of no short name that the kernel’s list lacks', () => {
    const name = fc.stringMatching(/^[a-zR][a-z0-9.-]{0,5}$/);
    const known = fc.constantFrom(
      'python',
      'pypy',
      'ksh',
      'zsh',
      'perl',
      'ruby',
      'php',
      'lua',
      'luajit',
      'tclsh',
      'wish',
      'guile',
      'mono',
      'wine',
    );
    const version = fc.stringMatching(/^[0-9.-]{0,5}[a-z]{0,2}$/);
    fc.assert(
      fc.property(
        fc.oneof(
          name,
          fc.tuple(known, version).map((parts) => parts.join('')),
        ),
        (each) => {
          expect(!isInterpreter(each) || startsAsInterpreter(each)).toBe(true);
        },
      ),
    );
  });
});
