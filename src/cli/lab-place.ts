import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { KernelError } from '../kernel/kernel-error.ts';
import { enterNetworkNamespace } from '../kernel/network-namespace.ts';
import { labFiles } from '../lab/lab-state.ts';
import { labWords } from '../lab/lab-words.ts';
import { isLabId, namespaceName } from '../lab/world.ts';
import { CliError } from './cli-error.ts';
import { EXIT } from './exit-code.ts';
import { parseRoot } from './root-option.ts';

/** Below /run: gone after a reboot, as the namespaces are. */
export const LABS_DIR = '/run/pointsman-lab';

export interface LabPlace {
  readonly id: string;
  readonly stateDir: string;
}

/** The lab that a command below `lab` is about. Throws CliError where options name two, or none. */
export function labPlaceOf(command: Command): LabPlace {
  const given = command.optsWithGlobals<LabOptions & { readonly id: string }>();
  const isIdGiven = command.getOptionValueSourceWithGlobals('id') === 'cli';
  if (isIdGiven && given.lab !== undefined && given.lab !== given.id)
    throw new CliError(EXIT.usage, `--id ${given.id} and --lab ${given.lab} are two labs`, { hint: 'name one' });
  const named = namedLab(given);
  if (given.root !== undefined && (named === undefined || (isIdGiven && named !== given.id)))
    throw new CliError(EXIT.usage, `--root ${given.root} is not the lab that is meant`, {
      hint: 'a lab is named by --id NAME alone',
    });
  const id = named ?? given.id;
  return { id, stateDir: join(LABS_DIR, id) };
}

export interface LabOptions {
  readonly lab?: string;
  readonly root?: string;
}

/** By an option that all commands have. */
export const namedLab = ({ lab, root }: LabOptions): string | undefined =>
  lab ?? (root === undefined ? undefined : labOfRoot(root));

/** The lab whose daemon has this root. */
export function labOfRoot(root: string, labsDir: string = LABS_DIR): string | undefined {
  const id = basename(dirname(root));
  return isLabId(id) && labFiles(join(labsDir, id)).rootDir === root ? id : undefined;
}

/**
 * From now on this process is in the network of the lab's daemon, as that is: what is looked at, closed or governed is the lab's, and never
 * the machine's around it. Throws CliError. Only root may go there.
 */
export function enterLab(root: string): void {
  const id = labOfRoot(root);
  if (id === undefined) throw new CliError(EXIT.usage, `${root} is the root of no lab`);
  try {
    // Until the process ends.
    enterNetworkNamespace(`/run/netns/${namespaceName(id, 'device')}`);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new CliError(EXIT.notRunning, `the lab "${id}" has no network any more: ${error.message}`, {
      hint: `sudo pointsman ${labWords(id, 'down')}; sudo pointsman ${labWords(id, 'up')}`,
    });
  }
}

/** The name of a lab, as an option has it. Throws InvalidArgumentError. */
export function parseLabId(text: string): string {
  if (!isLabId(text)) throw new InvalidArgumentError('1 to 32 lower-case letters, digits and "-".');
  return text;
}

/** The root of the lab's daemon, whether it is there or not. */
export const rootOfLab = (id: string, labsDir: string = LABS_DIR): string => labFiles(join(labsDir, id)).rootDir;

/** The root of the lab's daemon. Throws CliError where there is no such lab, or it is somebody else's. */
export function existingLabRoot(id: string, labsDir: string = LABS_DIR): string {
  const root = rootOfLab(id, labsDir);
  if (!existsSync(root))
    throw new CliError(EXIT.usage, `there is no lab "${id}"`, { hint: `sudo pointsman ${labWords(id, 'up')}` });
  try {
    return parseRoot(root);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new CliError(EXIT.usage, `${root} cannot be used: ${error.message}`);
  }
}
