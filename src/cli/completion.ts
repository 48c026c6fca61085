/** Completion scripts, made from the commands themselves, so that they cannot disagree. */
import type { Command, Option } from 'commander';
import { LABS_DIR } from './lab-place.ts';

/** A command by its path from the program, and what may follow it. */
interface CompletedCommand {
  /** `lab up`; empty for the program itself. */
  readonly path: string;
  readonly words: readonly CompletedWord[];
}

interface CompletedWord {
  readonly word: string;
  readonly description: string;
  readonly isCommand: boolean;
}

/** Names of a machine's own, and where they stand as names of files or directories: looked up when somebody completes them. */
export interface CompletedNames {
  /** Patterns of the shell. */
  readonly apps: readonly string[];
  readonly labs: readonly string[];
}

export const NAMES_HERE: CompletedNames = {
  apps: ['/etc/pointsman/policies/*.yaml', '/usr/share/pointsman/policies/*.yaml'],
  labs: [`${LABS_DIR}/*/`],
};

type NameKind = keyof CompletedNames;

/** Options whose value is such a name, and commands whose argument is one. */
const NAMED_BY_OPTION: ReadonlyMap<string, NameKind> = new Map([
  ['--app', 'apps'],
  ['--lab', 'labs'],
  ['--id', 'labs'],
]);
const NAMED_BY_COMMAND: ReadonlyMap<string, NameKind> = new Map([
  ['route', 'apps'],
  ['explain', 'apps'],
]);

/** A function of the shell, the same for bash and zsh, that prints the names of one kind, each once. */
function namesFunction(program: Command, names: CompletedNames): string {
  const cases = Object.entries(names).map(([kind, patterns]) => `    ${kind}) set -- ${patterns.join(' ')};;`);
  return `_${program.name()}_names() {
  local file
  case $1 in
${cases.join('\n')}
  esac
  for file; do
    [[ -e $file ]] || continue
    file=\${file%/}; file=\${file##*/}
    printf '%s\\n' "\${file%.yaml}"
  done | sort -u
}`;
}

const optionCases = (line: (kind: NameKind) => string): string =>
  [...NAMED_BY_OPTION].map(([option, kind]) => `    ${option}) ${line(kind)};;`).join('\n');
const commandCases = (line: (kind: NameKind) => string): string =>
  [...NAMED_BY_COMMAND].map(([command, kind]) => `    '${command}') ${line(kind)};;`).join('\n');

function completedCommands(program: Command): readonly CompletedCommand[] {
  const global = optionWords(program.options);
  const visit = (command: Command, path: readonly string[]): readonly CompletedCommand[] => {
    const children = command.commands.map((child) => word(child.name(), child.description(), true));
    const choices = command.registeredArguments.flatMap(({ argChoices = [] }) =>
      argChoices.map((choice) => word(choice, '', false)),
    );
    const own = path.length === 0 ? [] : optionWords(command.options);
    const here = {
      path: path.join(' '),
      words: [...children, ...choices, ...own, ...global, word('--help', 'help', false)],
    };
    return [here, ...command.commands.flatMap((child) => visit(child, [...path, child.name()]))];
  };
  return visit(program, []);
}

function optionWords(options: readonly Option[]): readonly CompletedWord[] {
  return options
    .filter(({ hidden }) => !hidden)
    .map(({ long, short, description }) => word(long ?? short ?? '', description, false));
}

function word(text: string, description: string, isCommand: boolean): CompletedWord {
  return { word: text, description, isCommand };
}

/** Options that take a value: the word after one of them is no command. */
function valueOptions(program: Command): readonly string[] {
  const all = (command: Command): readonly Option[] => [...command.options, ...command.commands.flatMap(all)];
  return [
    ...new Set(
      all(program)
        .filter(({ required }) => required)
        .map(({ long }) => long ?? ''),
    ),
  ].filter(Boolean);
}

/** Where a person has typed `lab up`, walking the words typed so far; the same loop for bash and zsh. */
function walk(program: Command): string {
  const paths = completedCommands(program)
    .map(({ path }) => path)
    .filter((path) => path !== '');
  return `  for word in "\${typed[@]}"; do
    if [[ -n $skip ]]; then skip=; continue; fi
    case $word in
      --) return 1;;
      ${valueOptions(program).join('|')}) skip=1; continue;;
    esac
    case "\${path:+$path }$word" in
      ${paths.map((path) => `'${path}'`).join('|')}) path="\${path:+$path }$word";;
    esac
  done
  [[ -n $skip ]] && return 1`;
}

/** For `source <(pointsman completion bash)`. Files complete where no word of ours does. */
export function renderBashCompletion(program: Command, names: CompletedNames = NAMES_HERE): string {
  const cases = completedCommands(program).map(
    ({ path, words }) => `    '${path}') words='${words.map((entry) => entry.word).join(' ')}';;`,
  );
  const namesOf = (kind: NameKind): string => `$(_${program.name()}_names ${kind})`;
  return `# bash completion for ${program.name()}
${namesFunction(program, names)}
_${program.name()}() {
  local word path= skip= words= cur=\${COMP_WORDS[COMP_CWORD]}
  local -a typed=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
  COMPREPLY=()
  case \${COMP_WORDS[COMP_CWORD-1]} in
${optionCases((kind) => `COMPREPLY=($(compgen -W "${namesOf(kind)}" -- "$cur")); return`)}
  esac
${walk(program)}
  case $path in
${cases.join('\n')}
  esac
  case $path in
${commandCases((kind) => `words="$words ${namesOf(kind)}"`)}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _${program.name()} ${program.name()}
`;
}

/** For a file _pointsman in zsh's fpath. */
export function renderZshCompletion(program: Command, names: CompletedNames = NAMES_HERE): string {
  const cases = completedCommands(program).map(({ path, words }) => {
    const entries = words.map((entry) => zshEntry(entry)).join(' ');
    return `    '${path}') entries=(${entries});;`;
  });
  // Where nothing fits a pattern, zsh would stop.
  const namesOf = (kind: NameKind): string =>
    `\${(f)"$(setopt local_options null_glob; _${program.name()}_names ${kind})"}`;
  return `#compdef ${program.name()}
${namesFunction(program, names)}
_${program.name()}() {
  local word path= skip=
  local -a typed entries
  typed=("\${(@)words[2,CURRENT-1]}")
  case \${words[CURRENT-1]} in
${optionCases((kind) => `compadd -- ${namesOf(kind)}; return`)}
  esac
${walk(program).replaceAll('return 1', '{ _files; return }').replaceAll('path', 'where')}
  case $where in
${cases.join('\n')}
  esac
  case $where in
${commandCases((kind) => `compadd -- ${namesOf(kind)}`)}
  esac
  _describe -o '${program.name()}' entries || _files
}
_${program.name()} "$@"
`.replace('local word path= skip=', 'local word where= skip=');
}

function zshEntry({ word: text, description }: CompletedWord): string {
  const plain = description.replaceAll("'", '’').replaceAll(':', ' -');
  return `'${text}${plain === '' ? '' : `:${plain}`}'`;
}

/** For a file in ~/.config/fish/completions. */
export function renderFishCompletion(program: Command, names: CompletedNames = NAMES_HERE): string {
  const name = program.name();
  const namesOf = (kind: NameKind): string =>
    `'(path basename ${names[kind].join(' ')} | path change-extension "" | sort -u)'`;
  const named = [
    ...[...NAMED_BY_OPTION].map(
      ([option, kind]) => `complete -c ${name} -l '${option.slice(2)}' -x -a ${namesOf(kind)}`,
    ),
    ...[...NAMED_BY_COMMAND].map(([at, kind]) => `complete -c ${name} -n "__${name}_at '${at}'" -a ${namesOf(kind)}`),
  ];
  const lines = completedCommands(program).flatMap(({ path, words }) =>
    words.map((entry) => {
      const [flag, text] = entry.word.startsWith('--') ? ['-l', entry.word.slice(2)] : ['-a', entry.word];
      const description = entry.description === '' ? '' : ` -d '${entry.description.replaceAll("'", '’')}'`;
      return `complete -c ${name} -n "__${name}_at '${path}'" ${flag} '${text}'${description}`;
    }),
  );
  const paths = completedCommands(program).map(({ path }) => path);
  return `# fish completion for ${name}
function __${name}_at
    set -l where
    for word in (commandline -opc)[2..-1]
        if contains -- (string join ' ' $where $word) ${paths
          .filter(Boolean)
          .map((path) => `'${path}'`)
          .join(' ')}
            set -a where $word
        end
    end
    test (string join ' ' $where) = "$argv[1]"
end
${[...lines, ...named].join('\n')}
`;
}
