/**
 * Scripts whose interpreter is itself a script: the kernel goes on to that one's interpreter, and so on (execve(2), "Interpreter
 * scripts"). What runs in the end is the last one's, as its main program, with those before among its arguments.
 */
import { type FileIdentity, isSameFile } from '../kernel/file-identity.ts';
import { parseShebang } from '../kernel/shebang.ts';
import { placesOfInterpreter } from './script-start.ts';

/** BINPRM nests no deeper (fs/exec.c: exec_binprm). */
export const MAX_CHAIN = 5;
/** Arguments behind the main program that are looked at. */
const MAX_ARGUMENTS = 3 * MAX_CHAIN;

/** The scripts that the kernel comes by on the way from a script to its interpreter, the nearest first. `startOf`: of a file, `undefined` where none is. */
export function interpretingScripts(path: string, startOf: (path: string) => string | undefined): readonly string[] {
  const chain: string[] = [];
  let shebang = parseShebang(startOf(path) ?? '');
  while (shebang !== undefined && chain.length < MAX_CHAIN) {
    const place = placesOfInterpreter(shebang)
      .flatMap((each) => asText(each) ?? [])
      .find((each) => startOf(each) !== undefined);
    shebang = place === undefined ? undefined : parseShebang(startOf(place) ?? '');
    if (place !== undefined && shebang !== undefined) chain.push(place);
  }
  return chain;
}

/** `undefined` where it is none: listed paths are text, and what has another name is followed when it is started. */
function asText(path: string): string | undefined {
  const text = Buffer.from(path, 'latin1').toString();
  return Buffer.from(text).toString('latin1') === path ? text : undefined;
}

export interface ScriptsOfChain {
  readonly fileAt: (path: string) => FileIdentity | undefined;
  /** By what path a file is listed. */
  readonly listedPathOf: (file: FileIdentity) => string | undefined;
  /** Whether it is known to interpret scripts. */
  readonly interprets: (file: FileIdentity) => boolean;
}

/**
 * The listed script that was started first of all, where `main`, the main program of these arguments, interprets it; `undefined` where it interprets
 * none. Options that the `#!` lines add are passed by.
 */
export function outermostScript(
  main: FileIdentity,
  args: readonly string[],
  { fileAt, listedPathOf, interprets }: ScriptsOfChain,
): string | undefined {
  const at = args.findIndex((arg, i) => i > 0 && isSame(fileAt(arg), main));
  if (at < 0) return undefined;
  let outermost: string | undefined;
  for (const arg of args.slice(at + 1, at + 1 + MAX_ARGUMENTS)) {
    const file = fileAt(arg);
    if (file === undefined) continue;
    outermost = listedPathOf(file) ?? outermost;
    if (!interprets(file)) break;
  }
  return outermost;
}

const isSame = (a: FileIdentity | undefined, b: FileIdentity): boolean => a !== undefined && isSameFile(a, b);
