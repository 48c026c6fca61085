import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Diagnostic } from '../policy/diagnostic.ts';
import { allCommands, buildProgram, pathOf, separateProgram } from './program.ts';
import { runProgram } from './run-program.ts';

let root = '';

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'pointsman-cli-'));
  mkdirSync(join(root, 'policies'));
  writeFileSync(
    join(root, 'policies/mail.yaml'),
    'pointsman: 1\napp: org.example.Mail\nmatch:\n  - exec: /usr/bin/mail\n',
  );
  writeFileSync(join(root, 'broken.yaml'), 'pointsman: 1\napp: org.example.Broken\nothewise: deny\n');
});

afterAll(() => rmSync(root, { recursive: true }));

interface Run {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
  readonly started: readonly object[];
}

async function run(
  words: readonly string[],
  options: { readonly fails?: Error; readonly debug?: true } = {},
): Promise<Run> {
  let [out, err] = ['', ''];
  const started: object[] = [];
  const exitCode = await runProgram(words, {
    version: '1.2.3',
    terminal: {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      data: (text) => {
        out += text;
      },
      typed: (text) => text,
      outColour: false,
      errColour: false,
    },
    runDaemon: async (given) => {
      started.push(given);
      if (options.fails !== undefined) throw options.fails;
      return 0;
    },
    selfCommand: ['/usr/bin/true'],
    commandName: 'pointsman',
    interrupted: () => new AbortController().signal,
    env: options.debug ? { POINTSMAN_DEBUG: '1' } : {},
  });
  return { exitCode, out, err, started };
}

const everyCommand = allCommands(
  buildProgram({
    version: '',
    terminal: {
      out: () => {},
      err: () => {},
      data: () => {},
      typed: (text) => text,
      outColour: false,
      errColour: false,
    },
    runDaemon: async () => 0,
    selfCommand: [],
    commandName: '',
    interrupted: () => new AbortController().signal,
    exit: () => {},
  }),
).map((command) => pathOf(command).split(' ').slice(1));

describe('runProgram', () => {
  it.each(everyCommand.map((words) => [words.join(' '), words] as const))(
    'runProgram shows examples in the help of "%s"',
    async (_name, words) => {
      const { exitCode, out } = await run([...words, '--help']);
      expect(exitCode).toBe(0);
      expect(out).toMatch(/\nExamples:\n {2}\S/);
    },
  );

  it('runProgram prints the version', async () => {
    expect(await run(['--version'])).toMatchObject({ exitCode: 0, out: '1.2.3\n' });
  });

  it.each([
    [['lab', 'status', '--lab', 'nosuchlab']],
    [['lab', '--lab', 'nosuchlab', 'status']],
    [['--lab', 'nosuchlab', 'lab', 'status']],
    [['lab', '--id', 'nosuchlab', 'status']],
    [['--lab', 'nosuchlab', 'lab', '--id', 'nosuchlab', 'status']],
  ])('runProgram asks about the lab that is named, in %j', async (words) => {
    const { exitCode, out } = await run(words);
    expect([exitCode, out]).toEqual([
      3,
      'The lab "nosuchlab" is down; build it: sudo pointsman lab --id nosuchlab up\n',
    ]);
  });

  it.skipIf(process.geteuid?.() !== 0)('runProgram says which lab is not there to be removed', async () => {
    const { exitCode, out } = await run(['lab', 'down', '--lab', 'nosuchlab']);
    expect([exitCode, out]).toEqual([0, 'There is no lab "nosuchlab".\n']);
  });

  it.each([
    [['panic'], 'error: <what> is missing\n'],
    [['panic', 'on'], "error: 'on' is none of: open, closed, off\n"],
    [['lab', 'link', 'ethernet', 'down'], "error: 'ethernet' is none of: wifi, cellular, vpn\n"],
    [['who'], 'error: <'],
    [['explain', 'curl', 'example.org', '443'], 'example.org:443'],
  ])('runProgram says in plain words what is wrong with %j', async (words, said) => {
    const { exitCode, err } = await run(words);
    expect(err).toContain(said);
    expect(err).not.toMatch(/command-argument|required argument|too many/);
    expect(exitCode).toBe(2);
  });

  it('runProgram says which command was meant', async () => {
    const { exitCode, err } = await run(['statsu']);
    expect(exitCode).toBe(2);
    expect(err).toContain("error: unknown command 'statsu'");
    expect(err).toContain('(Did you mean status?)');
  });

  it('runProgram says which option was meant', async () => {
    const { exitCode, err } = await run(['plan', '--nfd']);
    expect(exitCode).toBe(2);
    expect(err).toContain('(Did you mean --nft?)');
    expect(err).toContain('pointsman plan --help');
  });

  it('runProgram check says what an entry really names, and --strict fails on it', async () => {
    const below = join(root, 'machine');
    const policies = join(below, 'etc/pointsman/policies');
    const file = join(policies, 'browser.yaml');
    mkdirSync(policies, { recursive: true });
    mkdirSync(join(below, 'usr/bin'), { recursive: true });
    writeFileSync(join(below, 'usr/bin/browser'), '#!/bin/sh\n', { mode: 0o755 });
    const entries = 'match:\n  - exec: /usr/bin/browser\n  - exec: /usr/bin/not-built-yet\n';
    writeFileSync(file, `pointsman: 1\napp: browser\n${entries}rules: [{ to: "*", do: deny }]\n`);
    const { exitCode, out } = await run(['--root', below, 'check']);
    expect(exitCode).toBe(0);
    expect(out).toContain(`${file}:4:11: warning: /usr/bin/browser is a script: what runs is its interpreter`);
    expect(out).toContain('    4 |   - exec: /usr/bin/browser\n      |           ^^^^^^^^^^^^^^^^\n');
    expect(out).toContain('hint: name it so: script: /usr/bin/browser');
    expect(out).not.toContain('not-built-yet');
    expect((await run(['--root', below, 'check', '--strict', file])).exitCode).toBe(1);
    writeFileSync(file, 'pointsman: 1\napp: browser\nmatch:\n  - exec: /usr/bin/not-built-yet\n');
    expect((await run(['--root', below, 'check', '--strict'])).exitCode).toBe(0);
    // Of a file that no daemon reads, as in the sources of a package.
    expect((await run(['check', '--strict', file])).exitCode).toBe(0);
  });

  it.each([
    [['explain', '--to', 'a:1']],
    [['explain', '--exe', '/x']],
    [['explain', '--exe', '/x', '--app', 'y', '--to', 'a:1']],
    [['explain', '--exe', '/x', '--to', 'a']],
    [['explain', '--exe', '/x', '--from', 'a.example', '--port', '22']],
    [['explain', '--exe', '/x', '--from', '192.0.2.7', '--port', 'ssh']],
    [['explain', '--pid', 'x', '--to', 'a:1']],
    [['up', '--confirm', 'soon']],
    [['up', 'extra']],
    [['panic', 'maybe']],
    [['panic']],
    [['completion', 'tcsh']],
    [['lab', '--id', 'No', 'status']],
    [['lab', '--lab', 'No', 'status']],
    [['lab', '--lab', 'a', '--id', 'b', 'status']],
    [['--root', '/usr', 'lab', 'down']],
    [['lab', '--root', '/usr', 'exec', '--', 'true']],
    [['lab', 'down', '--root', '/usr']],
    [['status', '--lab', 'nosuchlab']],
    [['lab', 'link']],
    [['lab', 'link', 'ethernet', 'down']],
    [['lab', 'link', 'wifi', 'dwon']],
    [['lab', 'link', 'wifi', 'down', 'now']],
    [['lab', 'link', 'wifi', 'loss', 'much']],
    [['help', 'nothing']],
    [[]],
  ])('runProgram ends with 2 for %j', async (words) => {
    const { exitCode, err } = await run(words);
    expect(exitCode).toBe(2);
    expect(err).not.toBe('');
    expect(err).not.toMatch(/^\s+at /m);
  });

  it.each([
    [[], 'which connection?', '--to HOST:PORT, or --from ADDRESS'],
    [['--to', 'a:1', '--from', '192.0.2.7'], '--to and --from contradict each other', 'one after the other'],
    [['--to', 'a:1', '--port', '22'], '--port does not go with --to', 'part of --to'],
    [['--from', '192.0.2.7'], 'to which port of this machine?', '--port PORT'],
    [['--port', '22'], 'who connects to that port?', '--from ADDRESS'],
  ])('runProgram says what is wrong with explain --exe /x %j', async (words, message, hint) => {
    const { exitCode, out, err } = await run(['explain', '--exe', '/x', ...words]);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' });
    expect(err).toContain(`error: ${message}\n`);
    expect(err).toMatch(/hint: /);
    expect(err).toContain(hint);
  });

  it.each(['bash', 'zsh', 'fish'])('runProgram completes in %s what explain may be asked', async (shell) => {
    const { out } = await run(['completion', shell]);
    for (const option of ['to', 'from', 'port']) expect(out).toMatch(new RegExp(`explain.*\\b${option}\\b`));
  });

  it('runProgram asks whose connection it is that comes in', async () => {
    const { exitCode, err } = await run(['explain', '--from', '192.0.2.7', '--port', '22']);
    expect(exitCode).toBe(2);
    expect(err).toContain('who is connected to?');
  });

  it('runProgram explains without a daemon who may connect, for people and for scripts', async () => {
    const policies = join(root, 'inbound/etc/pointsman/policies');
    mkdirSync(policies, { recursive: true });
    const file = join(policies, 'ssh.yaml');
    writeFileSync(file, 'pointsman: 1\napp: ssh\nmatch:\n  - exec: /usr/sbin/sshd\naccept: ["192.0.2.0/24:22/tcp"]\n');
    const words = ['--root', join(root, 'inbound'), 'explain', '--exe', '/usr/sbin/sshd', '--port', '22', '--from'];
    const { exitCode, out } = await run([...words, '192.0.2.7:50000']);
    expect(exitCode).toBe(0);
    expect(out).toContain('192.0.2.7:50000 -> port 22/tcp of ssh\n');
    expect(out).toContain(`192.0.2.7: allowed\n  because accept (administrator): 192.0.2.0/24:22/tcp, ${file}:5\n`);
    const refused = await run([...words, '198.51.100.7', '--json']);
    expect(JSON.parse(refused.out)).toMatchObject({
      app: 'ssh',
      source: '198.51.100.7',
      flows: [{ verdict: 'reject', cause: 'denied', file, line: 5, accept: [{ outcome: 'did not match' }] }],
    });
  });

  it('runProgram starts the daemon with root and milliseconds to confirm', async () => {
    const { exitCode, started } = await run(['up', '--confirm', '30s', '--root', root]);
    expect(exitCode).toBe(0);
    expect(started).toEqual([{ version: '1.2.3', root, confirmMs: 30_000, log: expect.any(Function) as unknown }]);
  });

  it.each([['status'], ['reload'], ['confirm'], ['watch']])(
    'runProgram ends with 3 for %s without a daemon',
    async (name) => {
      const { exitCode, err } = await run(['--root', root, name]);
      expect(exitCode).toBe(3);
      expect(err).toBe(`error: the daemon is not running\n       hint: sudo pointsman up --root ${root}\n`);
    },
  );

  it.skipIf(process.geteuid?.() !== 0)('runProgram finds nothing to take down, and is content', async () => {
    const { exitCode, out } = await run(['--root', root, 'down']);
    expect([exitCode, out]).toEqual([0, 'No daemon is running, and nothing of pointsman is in the kernel.\n']);
  });

  it('runProgram ends with 1 and one line for a fault of its own', async () => {
    const { exitCode, err } = await run(['up'], { fails: new TypeError('x is\nnot a function') });
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^error: TypeError: x is\n {7}hint: this is a fault of pointsman/);
    expect(err).not.toMatch(/^\s+at /m);
  });

  it('runProgram shows the stack of a fault with POINTSMAN_DEBUG', async () => {
    const { err } = await run(['up'], { fails: new TypeError('x'), debug: true });
    expect(err).toMatch(/^\s+at /m);
  });

  it('runProgram finds no mistakes in good files', async () => {
    const { exitCode, out } = await run(['check', join(root, 'policies')]);
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: '1 file, no mistakes\n' });
  });

  it('runProgram ends with 1 for files with mistakes and shows them', async () => {
    const { exitCode, out } = await run(['check', root]);
    expect(exitCode).toBe(1);
    expect(out).toContain(`${join(root, 'broken.yaml')}:3:1: error:`);
    expect(out).toContain('othewise: deny');
  });

  it('runProgram gives the mistakes as JSON', async () => {
    const { exitCode, out } = await run(['check', '--json', join(root, 'broken.yaml'), join(root, 'none')]);
    expect(exitCode).toBe(1);
    const report = JSON.parse(out) as { readonly diagnostics: readonly { readonly code: string }[] };
    expect(report).toMatchObject({ files: 1 });
    expect(report.diagnostics.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['unknown-key', 'unreadable-file']),
    );
  });

  it('runProgram check says of files that nobody reads, and of what stands in the wrong directory, the same with and without a path', async () => {
    const below = join(root, 'astray');
    const policy = (app: string): string => `pointsman: 1\napp: ${app}\nmatch:\n  - exec: /usr/bin/${app}\n`;
    const put = (path: string, text: string): void => {
      const file = join(below, 'etc/pointsman', path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    };
    put('policies/a.yaml', policy('a'));
    put('b.yaml', policy('b'));
    put('policies/sub/c.yaml', policy('c'));
    put('policies/d.conf', policy('d'));
    put('default.yml', 'pointsman: 1\notherwise: deny\n');
    put('uplinks/e.yaml', policy('e'));
    put('policies/wifi.yaml', 'pointsman: 1\nuplink: wifi\ndevice: wlan0\ntype: wifi\n');
    put('default.yaml', policy('f'));
    put('locks/a.yaml', 'pointsman: 1\napp: a\nvia: { require: { name: nowhere }, else: block }\n');
    const check = async (...words: readonly string[]): Promise<object> => {
      const { exitCode, out } = await run(['--root', below, 'check', '--json', ...words]);
      const { diagnostics, ...counts } = JSON.parse(out) as { readonly diagnostics: readonly Diagnostic[] };
      return {
        exitCode,
        ...counts,
        said: diagnostics.map(({ file, severity, code }) => `${file.replace(below, '')} ${severity} ${code}`),
      };
    };
    const etc = '/etc/pointsman';
    const wanted = [
      `${etc}/b.yaml warning not-read`,
      `${etc}/default.yaml error wrong-directory`,
      `${etc}/default.yml warning not-read`,
      `${etc}/locks/a.yaml warning unknown-uplink`,
      `${etc}/policies/d.conf warning not-read`,
      `${etc}/policies/sub/c.yaml warning not-read`,
      `${etc}/policies/wifi.yaml error wrong-directory`,
      `${etc}/uplinks/e.yaml error wrong-directory`,
    ];
    expect(await check()).toEqual({ exitCode: 1, files: 5, errors: 3, warnings: 5, said: wanted });
    expect(await check(join(below, etc))).toEqual(await check());
    expect(await check(below)).toEqual(await check());
    expect(await check(join(below, etc, 'b.yaml'))).toMatchObject({ exitCode: 0, files: 1, said: [wanted[0]] });
    expect(await check(join(below, etc, 'uplinks'))).toMatchObject({ exitCode: 1, files: 1, said: [wanted[7]] });
    // Of a tree that no daemon reads, as in a package's sources or for a trial.
    const { out } = await run(['check', join(below, etc)]);
    expect(out.match(/\[wrong-directory\]/g)).toHaveLength(2);
    expect(out).toContain(`uplinks/e.yaml:1:1: error: this is a policy, and what stands here is read as an uplink`);
    expect(out).toContain(`hint: it belongs in ${join(below, etc, 'policies/')}`);
  });

  it('runProgram lists the exit codes', async () => {
    const { out } = await run(['help', 'exit-codes']);
    expect(out.match(/^ {2}\d {2}/gm)).toEqual([
      '  0  ',
      '  1  ',
      '  2  ',
      '  3  ',
      '  4  ',
      '  5  ',
      '  6  ',
      '  7  ',
    ]);
  });
});

describe('separateProgram', () => {
  it.each([
    [
      ['lab', 'exec', 'curl', '-s', 'x'],
      ['lab', 'exec', '--', 'curl', '-s', 'x'],
    ],
    [
      ['lab', '--id', 'a', 'exec', 'x', '-s'],
      ['lab', '--id', 'a', 'exec', '--', 'x', '-s'],
    ],
    [
      ['lab', '--lab', 'a', 'exec', 'x', '-s'],
      ['lab', '--lab', 'a', 'exec', '--', 'x', '-s'],
    ],
    [
      ['lab', 'up', '--policies', 'exec', 'x'],
      ['lab', 'up', '--policies', 'exec', 'x'],
    ],
    [
      ['lab', 'exec', '--', 'curl', '-s'],
      ['lab', 'exec', '--', 'curl', '-s'],
    ],
    [
      ['lab', 'exec', '--help'],
      ['lab', 'exec', '--help'],
    ],
    [
      ['lab', 'exec'],
      ['lab', 'exec'],
    ],
    [
      ['explain', '--app', 'lab'],
      ['explain', '--app', 'lab'],
    ],
  ])('separateProgram makes %j %j', (words, separated) => {
    expect(separateProgram(words)).toEqual(separated);
  });
});
