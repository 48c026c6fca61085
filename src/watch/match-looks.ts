/**
 * `match` entries that fit nothing on this machine, or something else than it seems. Of a root that is not the machine's own, and
 * of files that stand elsewhere (a package's sources), what is not there may come later: only what is there is spoken of.
 */
import { readlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileLooks } from '../kernel/file-looks.ts';
import type { MisfitMatch } from '../policy/match-fit.ts';
import type { Match, Policy } from '../policy/model.ts';
import { suggest } from '../policy/suggestion.ts';
import { alsoExecutes } from '../policy/user-mode-networks.ts';
import { DPKG_DIRECTORY, DpkgDatabase } from './dpkg-database.ts';
import { Packages } from './packages.ts';
import { listNames, lookAt, readText } from './read-text.ts';
import { RootDirectory } from './root-directory.ts';
import { PROGRAM_DIRECTORIES, type StartedFile, type StartedScript, startedFile } from './started-file.ts';

/** `absent`: nothing fits. `other`: what runs is told by something else than the entry says, or by more. */
export interface MisfitHere extends MisfitMatch {
  readonly because: 'absent' | 'other';
}

type Named = Pick<Policy, 'match' | 'children'>;

/** systemd.unit(5), "Unit File Search Path", the strongest first. */
const UNIT_DIRECTORIES: readonly string[] = [
  '/etc/systemd/system.control',
  '/run/systemd/system.control',
  '/run/systemd/transient',
  '/run/systemd/generator.early',
  '/etc/systemd/system',
  '/run/systemd/system',
  '/run/systemd/generator',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
  '/run/systemd/generator.late',
];
/** Scopes, slices and mounts come without files. */
const UNIT_WITH_FILE = /\.(?:service|socket)$/;
const MAX_ACCOUNTS_BYTES = 128 * 1024 * 1024;

export class MatchLooks {
  readonly #root: RootDirectory;
  readonly #isComplete: boolean;
  readonly #packages: Packages;
  readonly #dpkg: DpkgDatabase;

  /** `isComplete`: what is not there is missing. */
  constructor({ root = '/', isComplete }: { readonly root?: string; readonly isComplete: boolean }) {
    this.#root = new RootDirectory(root);
    this.#isComplete = isComplete;
    this.#packages = new Packages(root);
    this.#dpkg = new DpkgDatabase(this.#root.at(DPKG_DIRECTORY));
  }

  /** `policy`: whose entry it is. Never throws, and waits for no file system that does not answer. */
  misfit({ kind, value }: Match, policy: Named): MisfitHere | undefined {
    switch (kind) {
      case 'exec':
      case 'script': {
        const file = startedFile(value, this.#root);
        return (
          this.#misfitPath(kind, value, file) ??
          (kind === 'exec' ? this.#misfitProgram(value, file, policy) : undefined)
        );
      }
      case 'package':
        return this.#misfitPackage(value);
      case 'unit':
        return UNIT_WITH_FILE.test(value) ? this.#misfitUnit(value) : undefined;
      case 'user':
        return this.#misfitAccount('user', value, '/etc/passwd', 'id -u');
      case 'group':
        return this.#misfitAccount('group', value, '/etc/group', 'getent group');
      // They come and go, belong to one user, or are there while something is mounted.
      case 'cgroup':
      case 'container':
      case 'flatpak':
      case 'snap':
      case 'desktop':
      case 'kernel':
        return undefined;
    }
  }

  #misfitPath(kind: 'exec' | 'script', value: string, file: StartedFile): MisfitHere | undefined {
    const what = kind === 'exec' ? 'program' : 'script';
    switch (file.is) {
      case 'not known':
        return undefined;
      case 'not there':
        return this.#isComplete ? absent(`there is no ${value} here`, this.#nearPath(kind, value)) : undefined;
      case 'directory': {
        const hint = `name each ${what} in it, or all of a package: package: NAME`;
        return other(`${value} is a directory, and an entry names one file`, hint);
      }
      case 'no regular file':
        return other(`${value} is no file that can be run`, `name the ${what} itself`);
      case 'executable':
        return kind === 'script'
          ? other(`${value} is an executable, and no script`, `name it so: exec: ${value}`)
          : undefined;
      case 'script':
        return kind === 'exec' ? scriptByExec(value, file) : undefined;
      case 'other format': {
        if (kind === 'script') return undefined;
        const message = `${value} is no executable: what runs where it is started is an interpreter`;
        return other(
          message,
          `if it is a script: script: ${value}; else name what runs it, as pointsman who PID shows it`,
        );
      }
    }
  }

  #misfitProgram(value: string, file: StartedFile, policy: Named): MisfitHere | undefined {
    if (file.is !== 'executable') return undefined;
    const { mayRun, manyNames, becomes, connectsBy } = file;
    if (!mayRun) return other(`nobody has the right to run ${value}`, `chmod a+x ${value}, or name the file that runs`);
    if (manyNames !== undefined) {
      const isSnap = basename(manyNames) === 'snap';
      const message = `${value} is a link to ${manyNames}, which is many programs: all of them would be this application`;
      const hint = isSnap
        ? `name the snap: snap: ${basename(value)}`
        : 'tell it by what it runs as: unit: NAME, or user: NAME';
      return other(message, hint);
    }
    if (policy.children?.are === 'same') return undefined;
    if (becomes !== undefined && !this.#names(policy, becomes))
      return other(`${value} runs another file in its own place, ${becomes}, which is not named`, besides(becomes));
    if (connectsBy !== undefined && !this.#names(policy, connectsBy))
      return other(`${value} leaves connecting to ${connectsBy}, which is not named`, besides(connectsBy));
    return undefined;
  }

  #names({ match }: Named, file: string): boolean {
    const real = this.#root.realPath(file);
    const isIt = (path: string | undefined): boolean =>
      path !== undefined && (path === file || this.#root.realPath(path) === real);
    return match.some(({ kind, value }) => kind === 'exec' && (isIt(value) || isIt(alsoExecutes(value))));
  }

  #nearPath(kind: 'exec' | 'script', value: string): string {
    const directory = dirname(value);
    const name = basename(value);
    const elsewhere = PROGRAM_DIRECTORIES.map((each) => join(each, name)).find((path) =>
      lookAt(this.#root.at(path))?.isFile(),
    );
    const near = suggest(name, listNames(this.#root.at(directory)));
    const meant = elsewhere ?? (near === undefined ? undefined : join(directory, near));
    if (meant !== undefined) return `did you mean ${kind}: ${meant}?`;
    return 'it fits as soon as the file is there; `command -v NAME` shows the path of a program';
  }

  #misfitPackage(value: string): MisfitHere | undefined {
    if (!this.#isComplete || !this.#dpkg.isThere) return undefined;
    const name = value.replace(/:.*/, '');
    const near = (names: readonly string[], otherwise: string): string => {
      const meant = suggest(name, names);
      return meant === undefined ? otherwise : `did you mean package: ${meant}?`;
    };
    const found = this.#packages.programs([value]).get(value);
    if (found !== undefined && found.executables.length + found.scripts.length > 0) return undefined;
    const { architectures, sources } = this.#dpkg.read();
    if (found === undefined)
      return absent(
        `package ${value} is not installed here`,
        near([...architectures.keys()], 'it fits as soon as it is'),
      );
    const siblings = [...sources]
      .filter(([each, source]) => each !== name && source === sources.get(name))
      .map(([each]) => each);
    const programs = this.#packages.programs(siblings);
    const withPrograms = siblings.filter((each) => {
      const { executables = [], scripts = [] } = programs.get(each) ?? {};
      return executables.length + scripts.length > 0;
    });
    const hint =
      withPrograms.length === 0
        ? 'name the package that has the program, as dpkg -S PATH shows it'
        : `programs of the same source are in ${withPrograms.map((each) => `package: ${each}`).join(', ')}`;
    return other(`package ${value} has no program`, hint);
  }

  #misfitUnit(value: string): MisfitHere | undefined {
    const directories = UNIT_DIRECTORIES.filter((directory) => fileLooks().answers(this.#root.at(directory)));
    if (directories.length === 0) return undefined;
    const template = value.replace(/@[^@]*(\.[a-z]+)$/, '@$1');
    const files = [value, template].flatMap((name) => directories.map((directory) => join(directory, name)));
    // A link to /dev/null is there, whatever is below another root.
    const found = files.find(
      (file) => linkOf(this.#root.at(file)) !== undefined || lookAt(this.#root.at(file)) !== undefined,
    );
    if (found === undefined) {
      if (!this.#isComplete) return undefined;
      const names = directories.flatMap((directory) => listNames(this.#root.at(directory)));
      const near = suggest(value, names);
      return absent(
        `systemd has no unit ${value} here`,
        near ? `did you mean unit: ${near}?` : 'it fits as soon as it is there',
      );
    }
    const target = linkOf(this.#root.at(found));
    if (target === '/dev/null') return absent(`${value} is masked: it never runs`, `systemctl unmask ${value}`);
    const aliased = target === undefined ? value : basename(target);
    if (aliased === value || aliased === template || !UNIT_WITH_FILE.test(aliased)) return undefined;
    return other(`${value} is another name of ${aliased}, and runs under that`, `name it so: unit: ${aliased}`);
  }

  #misfitAccount(what: 'user' | 'group', value: string, file: string, tool: string): MisfitHere | undefined {
    if (!this.#isComplete || /^\d+$/.test(value)) return undefined;
    const names = readText(this.#root.at(file), MAX_ACCOUNTS_BYTES)
      .split('\n')
      .map((line) => line.slice(0, line.indexOf(':')));
    if (names.length === 1 || names.includes(value)) return undefined;
    const near = suggest(value, names);
    const byNumber = `one that another service knows is named by its number, as ${tool} ${value} shows it: ${what}: NUMBER`;
    return absent(`${file} has no ${what} ${value}`, near === undefined ? byNumber : `did you mean ${what}: ${near}?`);
  }
}

function scriptByExec(value: string, { interpreter, starts }: StartedScript): MisfitHere {
  const runs = interpreter === undefined ? 'its interpreter' : `its interpreter, ${interpreter}`;
  const message = `${value} is a script: what runs is ${runs}, which is not this application`;
  const program = starts === undefined ? '' : `; what it starts is another program: exec: ${starts}`;
  return other(message, `name it so: script: ${value}${program}`);
}

const besides = (file: string): string => `name that as well: exec: ${file}`;
const absent = (message: string, hint: string): MisfitHere => ({ because: 'absent', message, hint });
const other = (message: string, hint: string): MisfitHere => ({ because: 'other', message, hint });

function linkOf(place: string): string | undefined {
  try {
    return fileLooks().answers(dirname(place)) ? readlinkSync(place) : undefined;
  } catch {
    return undefined;
  }
}
