/**
 * Interpreters by the names of their executables, and which of their arguments is the program they are to run. Arguments are
 * as `Proc.exactArguments` gives them.
 */

interface Family {
  /** Of the executable's file name, whole. */
  readonly name: RegExp;
  /** `letters`: `-uW x` is `-u -W x`. `words`: `-jar` is one option. */
  readonly options: 'letters' | 'words';
  /** Their value is the rest of the argument, or else the next one. Long ones (`--x`) also take `--x=value`. */
  readonly valued?: readonly string[];
  /** Letters whose value, if any, is the rest of the argument. */
  readonly attached?: string;
  /** Their value is always the next argument, whatever letters follow: `-oe pipefail`. */
  readonly valuedByNext?: readonly string[];
  /** With one of these it runs something else than a file, or nothing. */
  readonly without?: readonly string[];
  /** Their value is the program. */
  readonly program?: readonly string[];
  /** Words that may stand before the program: `deno run x.ts`. */
  readonly commands?: readonly string[];
  /** `+x` is an option, and a `-` alone ends the options. */
  readonly isShell?: boolean;
  /** What it tries after the name itself. */
  readonly suffixes?: readonly string[];
  /** One file is many programs, by the name under which it is called. */
  readonly isMultiCall?: boolean;
  /** Loaders of its own may stand before the program. */
  readonly loaders?: RegExp;
}

const SHELL = {
  options: 'letters',
  valuedByNext: ['-o', '-O', '+o', '+O'],
  valued: ['--rcfile', '--init-file', '--emulate'],
  without: ['-c', '-s'],
  isShell: true,
} as const satisfies Partial<Family>;

const FAMILIES: readonly Family[] = [
  {
    name: /^(?:python|pypy)[\d.]*[a-z]{0,2}(?:-dbg)?$/,
    options: 'letters',
    valued: ['-W', '-X', '--check-hash-based-pycs'],
    without: ['-c', '-m'],
    suffixes: ['/__main__.py'],
  },
  { ...SHELL, name: /^(?:sh|ash|dash|bash|rbash|zsh[\d.-]*|[mopl]?ksh\d*|rksh|yash|posh)$/ },
  { ...SHELL, name: /^(?:busybox|toybox)$/, isMultiCall: true },
  {
    name: /^fish$/,
    options: 'letters',
    valued: ['-C', '--init-command', '-d', '--debug', '-o', '--debug-output', '-f', '--features', '--profile'],
    without: ['-c', '--command'],
  },
  {
    name: /^(?:node|nodejs)$/,
    options: 'words',
    valued: [
      ...['-r', '--require', '--import', '--loader', '--experimental-loader', '-C', '--conditions', '--env-file'],
      ...['--input-type', '--title', '--icu-data-dir', '--openssl-config', '--inspect-port', '--redirect-warnings'],
      ...['--diagnostic-dir', '--report-dir', '--report-directory', '--unhandled-rejections', '--dns-result-order'],
    ],
    without: ['-e', '--eval', '-p', '--print', '-pe', '-c', '--check', '--test', '--run'],
    commands: ['inspect'],
    suffixes: ['.js', '/index.js'],
  },
  {
    name: /^bun$/,
    options: 'words',
    valued: ['-r', '--preload', '--require', '-c', '--config', '--cwd', '--env-file', '-d', '--define'],
    without: ['-e', '--eval', '-p', '--print'],
    commands: ['run'],
    suffixes: ['.js', '/index.js'],
  },
  {
    name: /^deno$/,
    options: 'words',
    valued: ['-c', '--config', '--import-map', '--lock', '--cert', '--location', '--seed', '-L', '--log-level'],
    commands: ['run', 'serve'],
  },
  {
    name: /^perl[\d.]*$/,
    options: 'letters',
    valued: ['-I'],
    attached: 'MmxiFCDdV',
    without: ['-e', '-E'],
  },
  {
    name: /^(?:ruby|jruby|truffleruby)[\d.]*$/,
    options: 'letters',
    valued: ['-I', '-r', '-C', '-X', '-E', '--encoding', '--external-encoding', '--internal-encoding'],
    attached: 'xFKTWi',
    without: ['-e'],
  },
  {
    name: /^php[\d.]*$/,
    options: 'letters',
    valued: ['-c', '--php-ini', '-d', '--define', '-z', '--zend-extension', '-t', '--docroot'],
    without: ['-r', '--run', '-B', '--process-begin', '-R', '--process-code', '-E', '--process-end', '-S', '--server'],
    program: ['-f', '--file', '-F', '--process-file'],
  },
  { name: /^lua(?:jit)?[\d.-]*$/, options: 'letters', valued: ['-e', '-l', '-j'], attached: 'O', without: ['-b'] },
  { name: /^(?:tclsh|wish)[\d.]*$/, options: 'words', valued: ['-encoding', '-display', '-geometry', '-name', '-use'] },
  {
    name: /^java$/,
    options: 'words',
    valued: [
      ...['-cp', '-classpath', '--class-path', '-p', '--module-path', '--upgrade-module-path', '--add-modules'],
      ...['--add-opens', '--add-exports', '--add-reads', '--limit-modules', '--enable-native-access', '--source'],
    ],
    without: ['-m', '--module', '-d', '--describe-module'],
    program: ['-jar'],
  },
  {
    name: /^wine(?:64)?(?:-preloader|-stable|-development)?$/,
    options: 'words',
    loaders: /^wine(?:64)?(?:-preloader|-stable|-development)?$/,
  },
  { name: /^mono(?:-sgen)?(?:64)?$/, options: 'words', valued: ['--config'] },
  // Rscript is a front end: it starts R, which opens the file.
  { name: /^R$/, options: 'words', valued: ['-g', '--gui'], without: ['-e', '--args'], program: ['-f', '--file'] },
  {
    name: /^guile[\d.-]*$/,
    options: 'words',
    valued: ['-L', '-C', '-l', '-x', '-e'],
    without: ['-c'],
    program: ['-s'],
  },
  { name: /^gjs(?:-console)?$/, options: 'words', valued: ['-I', '-C'], without: ['-c'], program: ['-m'] },
];

/** More arguments before the program are not looked through. */
export const MAX_OPTIONS = 1024;

/** What would be the program: the first of `paths` that is there. */
export interface MainProgram {
  readonly paths: readonly string[];
}

/** Whether an executable (its path, or its file name) is one of the known interpreters. */
export function isInterpreter(executable: string): boolean {
  return familyOf(executable) !== undefined;
}

/** `undefined`: no interpreter, or it was given no file to run. `args` has the name it was called by first. */
export function mainProgram(executable: string, args: readonly string[]): MainProgram | undefined {
  const family = familyOf(executable);
  if (family === undefined) return undefined;
  const own = family.isMultiCall ? appletArguments(args) : args.slice(1);
  const path = own === undefined ? undefined : programAmong(family, own);
  if (path === undefined || path === '') return undefined;
  return { paths: [path, ...(family.suffixes ?? []).map((suffix) => `${path}${suffix}`)] };
}

function familyOf(executable: string): Family | undefined {
  const name = baseName(executable);
  return FAMILIES.find((family) => family.name.test(name));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Those of the shell; `undefined` for any other of its programs (`cat`, `vi`). */
function appletArguments(args: readonly string[]): readonly string[] | undefined {
  const applets = ['sh', '-sh', 'ash', '-ash', 'hush'];
  const [name = '', second = '', ...rest] = args;
  if (applets.includes(baseName(name))) return args.slice(1);
  return /^(?:busybox|toybox)/.test(baseName(name)) && applets.includes(second) ? rest : undefined;
}

function programAmong(family: Family, args: readonly string[]): string | undefined {
  let isFirstWord = true;
  for (let index = 0; index < Math.min(args.length, MAX_OPTIONS); ) {
    const arg = args[index] ?? '';
    if (arg === '--') return args[index + 1];
    if (arg === '-') {
      // Of other interpreters it is the standard input.
      if (family.isShell) return args[index + 1];
      return undefined;
    }
    if (isOption(family, arg)) {
      const option = readOption(family, arg);
      if (option.kind === 'without') return undefined;
      if (option.kind === 'program') return option.value ?? args[index + 1];
      index += 1 + option.taken;
    } else if (isFirstWord && (family.commands?.includes(arg) || family.loaders?.test(baseName(arg)))) {
      isFirstWord = family.loaders !== undefined;
      index += 1;
    } else return arg;
  }
  return undefined;
}

function isOption(family: Family, arg: string): boolean {
  return arg.startsWith('-') || (family.isShell === true && arg.startsWith('+')) || isArgumentFile(family, arg);
}

/** `java @file`: the launcher reads more options from it. */
function isArgumentFile(family: Family, arg: string): boolean {
  return arg.startsWith('@') && family.program?.includes('-jar') === true;
}

type Option =
  | { readonly kind: 'without' }
  | { readonly kind: 'program'; readonly value?: string }
  | { readonly kind: 'other'; readonly taken: number };

function readOption(family: Family, arg: string): Option {
  return family.options === 'words' || arg.startsWith('--') ? readWord(family, arg) : readLetters(family, arg);
}

function readWord({ valued = [], without = [], program = [] }: Family, arg: string): Option {
  const equals = arg.indexOf('=');
  const name = equals < 0 ? arg : arg.slice(0, equals);
  if (without.includes(name)) return { kind: 'without' };
  if (program.includes(name)) return { kind: 'program', ...(equals >= 0 && { value: arg.slice(equals + 1) }) };
  return { kind: 'other', taken: equals < 0 && valued.includes(name) ? 1 : 0 };
}

function readLetters(family: Family, arg: string): Option {
  const { valued = [], valuedByNext = [], without = [], program = [], attached = '' } = family;
  const sign = arg[0] ?? '';
  let taken = 0;
  for (let at = 1; at < arg.length; at++) {
    const option = `${sign}${arg[at]}`;
    const rest = arg.slice(at + 1);
    if (without.includes(option)) return { kind: 'without' };
    if (program.includes(option)) return { kind: 'program', ...(rest !== '' && { value: rest }) };
    if (valued.includes(option)) return { kind: 'other', taken: taken + (rest === '' ? 1 : 0) };
    if (attached.includes(arg[at] ?? '')) break;
    if (valuedByNext.includes(option)) taken += 1;
  }
  return { kind: 'other', taken };
}
