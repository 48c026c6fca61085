/** What opens a descriptor, where there are few or none: in a process of its own, whose limit can be lowered. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';

const checkout = fileURLToPath(new URL('../..', import.meta.url));
/** More than any effect here opens at once. */
const MOST_FREE = 14;

beforeAll(() => {
  const built = spawnSync(join(checkout, 'node_modules/.bin/tsc'), ['-b', 'src/watch'], { cwd: checkout });
  expect(built.status).toBe(0);
});

/**
 * Leaves 0, 1, 2, ... descriptors free, and each time does the thing: `ok`, or the error's name and code. Then how many
 * descriptors are open that were not before.
 */
const SCRIPT = `
import { closeSync, openSync, readdirSync } from 'node:fs';
const [, what, most] = process.argv;
const { libc } = await import('CHECKOUT/dist/kernel/libc.js');
libc();
const EFFECTS = {
  tool: async () => (await import('CHECKOUT/dist/kernel/run-tool.js')).runTool('/bin/true', []),
  'tool with input': async () => (await import('CHECKOUT/dist/kernel/run-tool.js')).runTool('/bin/cat', [], 'text'),
  'memory file': async () => new (await import('CHECKOUT/dist/kernel/memory-file.js')).MemoryFile('name', 'text')[Symbol.dispose](),
  eventfd: async () => (await import('CHECKOUT/dist/kernel/event-fd.js')).EventFd.open()[Symbol.dispose](),
  netlink: async () => (await import('CHECKOUT/dist/kernel/netlink-socket.js')).NetlinkSocket.open(0)[Symbol.dispose](),
  '/proc/PID': async () => {
    const proc = (await import('CHECKOUT/dist/kernel/proc.js')).openProc();
    if (proc.stat(process.pid) === undefined) throw new Error('it is taken for gone');
  },
  'descriptors of a process': async () => {
    const proc = (await import('CHECKOUT/dist/kernel/proc.js')).openProc();
    if (proc.descriptors(process.pid, 5) === undefined || proc.descriptors(process.pid) === undefined) throw new Error('it is taken for gone');
  },
  'processes': async () => {
    const proc = (await import('CHECKOUT/dist/kernel/proc.js')).openProc();
    if (proc.pids().length === 0) throw new Error('nobody is there');
  },
  'names in a directory': async () => {
    const { listNames } = await import('CHECKOUT/dist/watch/read-text.js');
    if (listNames('/proc/self').length === 0) throw new Error('it is taken for empty');
  },
  'policy directory': async () => {
    const { listSourceFiles } = await import('CHECKOUT/dist/store/source-file.js');
    if (listSourceFiles('/etc').kind !== 'listed') throw new Error('it is refused');
  },
};
// Loaded while there is room.
await EFFECTS[what]();
await new Promise((done) => setTimeout(done, 20));
const open = () => readdirSync('/proc/self/fd').length;
const before = open();
const outcomes = [];
for (let free = 0; free <= Number(most); free += 1) {
  const taken = [];
  try { for (;;) taken.push(openSync('/dev/null', 'r')); } catch {}
  for (let i = 0; i < free; i += 1) closeSync(taken.pop());
  outcomes.push(await Promise.race([
    EFFECTS[what]().then(() => 'ok', ({ name, code, message }) => [name, code ?? message].join(' ')),
    new Promise((late) => setTimeout(late, 5000, 'no end')),
  ]));
  for (const fd of taken) closeSync(fd);
}
await new Promise((done) => setTimeout(done, 50));
console.log(JSON.stringify({ outcomes, left: open() - before }));
process.exit(0);
`;

interface Swept {
  readonly outcomes: readonly string[];
  readonly left: number;
}

function sweep(what: string): Swept {
  const script = SCRIPT.replaceAll('CHECKOUT', checkout.replace(/\/$/, ''));
  const limited = ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', script];
  const { stdout, stderr } = spawnSync('sh', [...limited, '--', what, `${MOST_FREE}`], { encoding: 'utf8' });
  expect({ what, stderr }).toEqual({ what, stderr: '' });
  return JSON.parse(stdout) as Swept;
}

/** A look that needs a thread, which is not there yet, with so few descriptors free; what is late then; and the look after that. */
const LOOK_SCRIPT = `
import { closeSync, openSync } from 'node:fs';
const { libc } = await import('CHECKOUT/dist/kernel/libc.js');
libc();
const { FileLooks } = await import('CHECKOUT/dist/kernel/file-looks.js');
const looks = new FileLooks();
const taken = [];
try { for (;;) taken.push(openSync('/dev/null', 'r')); } catch {}
for (let i = 0; i < Number(process.argv[2]); i += 1) closeSync(taken.pop());
const look = () => {
  try { return looks.stat('/proc/self/exe') === undefined ? 'nothing' : 'there'; } catch ({ name, code }) { return name + ' ' + code; }
};
const short = look();
for (const fd of taken) closeSync(fd);
console.log(JSON.stringify({ short, late: looks.late(), after: look() }));
process.exit(0);
`;

describe('few descriptors', () => {
  // Ten are what a thread of Node opens; one less and it never runs.
  it.each([0, 1, 4, 8, 9, 10, 15])('few descriptors (%i) are no file system that does not answer', (free) => {
    const script = LOOK_SCRIPT.replaceAll('CHECKOUT', checkout.replace(/\/$/, ''));
    const file = join(mkdtempSync(join(tmpdir(), 'few-descriptors-')), 'look.mjs');
    writeFileSync(file, script);
    const limited = ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, file, `${free}`];
    const { stdout, stderr } = spawnSync('sh', limited, { encoding: 'utf8' });
    rmSync(dirname(file), { recursive: true });
    expect({ stderr, seen: JSON.parse(stdout) as unknown }).toEqual({
      stderr: '',
      seen: { short: 'KernelError EMFILE', late: [], after: 'there' },
    });
  });

  it.each([
    'tool',
    'tool with input',
    'memory file',
    'eventfd',
    'netlink',
    '/proc/PID',
    'descriptors of a process',
    'processes',
    'names in a directory',
    'policy directory',
  ])('few descriptors are a KernelError of whatever opens one (%s), and nothing stays open', (what) => {
    const { outcomes, left } = sweep(what);
    expect(outcomes[0]).toBe('KernelError EMFILE');
    expect(outcomes.at(-1)).toBe('ok');
    expect(new Set(outcomes)).toEqual(new Set(['KernelError EMFILE', 'ok']));
    expect(left).toBe(0);
  });
});
