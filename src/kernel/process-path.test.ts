import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileAtProcessPath, MAX_PATH_STEPS } from './process-path.ts';

let dir: string;
/** A pretended `/proc/50` whose root is `dir/root` and whose directory is `dir/root/home`. */
let processDir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pointsman-path-'));
  processDir = join(dir, '50');
  for (const name of ['50/fd', 'root/home', 'root/opt', 'root/dev', 'elsewhere/home'])
    mkdirSync(join(dir, name), { recursive: true });
  symlinkSync(join(dir, 'root'), join(processDir, 'root'));
  symlinkSync(join(dir, 'root/home'), join(processDir, 'cwd'));
});

afterEach(() => {
  rmSync(dir, { recursive: true });
});

/** latin1 stands for bytes. */
const bytes = (path: string): Buffer => Buffer.from(path, 'latin1');

function makeFile(path: string): bigint {
  writeFileSync(bytes(join(dir, path)), 'x');
  return statSync(bytes(join(dir, path)), { bigint: true }).ino;
}

const inodeAt = (path: string): bigint | undefined => fileAtProcessPath(processDir, path)?.inode;

describe('fileAtProcessPath()', () => {
  it('fileAtProcessPath() starts in the directory or in the root of the process', () => {
    const [here, there] = [makeFile('root/home/x.py'), makeFile('root/opt/x.py')];
    expect(['x.py', './x.py', '../home/x.py', '//home/./x.py'].map(inodeAt)).toEqual([here, here, here, here]);
    expect(['/opt/x.py', '../opt/x.py'].map(inodeAt)).toEqual([there, there]);
    expect(['y.py', '', '/opt/x.py/z', '/opt/y/x.py'].map(inodeAt)).toEqual(Array(4).fill(undefined));
  });

  it('fileAtProcessPath() does not leave the root by ".." nor by absolute links', () => {
    const inside = makeFile('root/opt/x.py');
    makeFile('elsewhere/x.py');
    symlinkSync('/opt/x.py', join(dir, 'root/home/absolute'));
    symlinkSync('../../elsewhere/x.py', join(dir, 'root/opt/climbs'));
    expect(inodeAt('absolute')).toBe(inside);
    expect(inodeAt('/../../../opt/x.py')).toBe(inside);
    expect(inodeAt('/opt/climbs')).toBeUndefined();
  });

  it('fileAtProcessPath() follows links to files and directories, and gives up on rings', () => {
    const inside = makeFile('root/opt/x.py');
    symlinkSync('../opt', join(dir, 'root/home/link'));
    symlinkSync('ring2', join(dir, 'root/home/ring1'));
    symlinkSync('ring1', join(dir, 'root/home/ring2'));
    expect(inodeAt('link/x.py')).toBe(inside);
    expect(inodeAt('link/../opt/x.py')).toBe(inside);
    expect(inodeAt('ring1')).toBeUndefined();
  });

  it('fileAtProcessPath() takes /proc/self and /dev/fd for those of the process', () => {
    const opened = makeFile('elsewhere/x.py');
    symlinkSync(join(dir, 'elsewhere/x.py'), join(processDir, 'fd/3'));
    symlinkSync(join(dir, 'elsewhere'), join(processDir, 'fd/4'));
    symlinkSync('/proc/self/fd', join(dir, 'root/dev/fd'));
    const paths = ['/proc/self/fd/3', '/dev/fd/3', '/proc/thread-self/fd/3', '/dev/fd/4/x.py'];
    expect(paths.map(inodeAt)).toEqual(paths.map(() => opened));
    expect(inodeAt('/proc/self/cwd/../../elsewhere/x.py')).toBe(opened);
    expect(inodeAt('/dev/fd/5')).toBeUndefined();
  });

  it('fileAtProcessPath() tells names apart that are no text', () => {
    const files = ['root/home/\xff\n', 'root/home/\xfe\n', 'root/home/\u00ef\u00bf\u00bd\n'].map(makeFile);
    expect(['\xff\n', '\xfe\n', '\u00ef\u00bf\u00bd\n'].map(inodeAt)).toEqual(files);
  });

  it('fileAtProcessPath() does not follow paths of more steps than its bound', () => {
    const here = makeFile('root/home/x.py');
    const path = (steps: number): string => `${'../home/'.repeat((steps - 2) / 2)}./x.py`;
    expect(inodeAt(path(MAX_PATH_STEPS))).toBe(here);
    expect(inodeAt(path(MAX_PATH_STEPS + 4))).toBeUndefined();
  });

  it('fileAtProcessPath() names no file of this process, whatever path it is given', () => {
    makeFile('root/home/x.py');
    symlinkSync('/proc/self', join(dir, 'root/home/self'));
    const step = fc.constantFrom(
      '..',
      '.',
      'home',
      'opt',
      'self',
      'proc',
      'fd',
      'x.py',
      'root',
      'cwd',
      'exe',
      '\xff',
      '',
    );
    const outside = statSync('/proc/self/exe', { bigint: true }).ino;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), fc.boolean(), (steps, absolute) => {
        expect(inodeAt(`${absolute ? '/' : ''}${steps.join('/')}`)).not.toBe(outside);
      }),
    );
  });
});
