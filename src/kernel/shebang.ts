/** The first line of a script that says what runs it (execve(2), "Interpreter scripts"). One character is one byte. */

/** BINPRM_BUF_SIZE of linux/binfmts.h: of a longer line the kernel reads no more. */
export const SHEBANG_LIMIT_BYTES = 256;

export interface Shebang {
  /** A path, or with `env` a name that is looked for. */
  readonly interpreter: string;
  readonly isSearched: boolean;
  /** What stands between the interpreter's name and the script's path among the arguments. */
  readonly before: readonly string[];
}

/** `start`: of the file, SHEBANG_LIMIT_BYTES are enough. `undefined` where it is no such script. */
export function parseShebang(start: string): Shebang | undefined {
  const [, interpreter, rest = ''] = /^#![ \t]*([^ \t\n\0]+)([^\n\0]*)/.exec(start.slice(0, SHEBANG_LIMIT_BYTES)) ?? [];
  if (interpreter === undefined) return undefined;
  const argument = rest.replace(/^[ \t]+|[ \t]+$/g, '');
  if (/(?:^|\/)env$/.test(interpreter)) return parseEnv(argument);
  return { interpreter, isSearched: false, before: argument === '' ? [] : [argument] };
}

/** `env -S` splits the one argument that the kernel gives; its quotes and escapes are not understood here. */
function parseEnv(argument: string): Shebang | undefined {
  const words = argument.split(/[ \t]+/);
  const first = words.findIndex((word) => !word.startsWith('-') && !word.includes('='));
  const interpreter = words[first];
  if (interpreter === undefined || interpreter === '') return undefined;
  return { interpreter, isSearched: !interpreter.includes('/'), before: words.slice(first + 1) };
}
