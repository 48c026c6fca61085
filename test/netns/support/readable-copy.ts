/** What programs of other users are to read: a checkout may stand below a directory that only root looks into. */
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { nodeCommand } from '../../../src/kernel/node-command.ts';
import { CHECKOUT } from './build-program.ts';

/** A copy of the file, or of all below the directory, as `into`, in a directory of its own that everybody may look into. */
export function readableCopy(source: string, into: string): string {
  mkdirSync(dirname(into), { recursive: true });
  cpSync(source, into, { recursive: true, dereference: true });
  open(into);
  openOne(dirname(into));
  return into;
}

/** The compiled program with what it imports, in a directory that is made: its command line, as `POINTSMAN` is the checkout's. */
export function readableProgram(dir: string): readonly string[] {
  mkdirSync(dir, { recursive: true });
  const of = (path: string): string => readableCopy(join(CHECKOUT, path), join(dir, path));
  of('package.json');
  for (const name of packagesOf(CHECKOUT)) of(`node_modules/${name}`);
  const dist = of('dist');
  open(dir);
  openOne(dirname(dir));
  return nodeCommand(join(dist, 'main/pointsman.js'));
}

/** Dependencies of dependencies, too. */
function packagesOf(dir: string, found = new Set<string>()): ReadonlySet<string> {
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
    readFileSync(join(dir, 'package.json'), 'utf8'),
  ) as Readonly<Partial<Record<'dependencies' | 'optionalDependencies', Readonly<Record<string, string>>>>>;
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    const path = join(CHECKOUT, 'node_modules', name);
    if (found.has(name) || !existsSync(path)) continue;
    found.add(name);
    packagesOf(path, found);
  }
  return found;
}

const EVERYBODY_READS = 0o444;
const EVERYBODY_ENTERS = 0o111;

function open(path: string): void {
  openOne(path);
  if (statSync(path).isDirectory()) for (const name of readdirSync(path)) open(join(path, name));
}

function openOne(path: string): void {
  const stats = statSync(path);
  const isEntered = stats.isDirectory() || (stats.mode & EVERYBODY_ENTERS) !== 0;
  chmodSync(path, stats.mode | EVERYBODY_READS | (isEntered ? EVERYBODY_ENTERS : 0));
}
