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

export function labPlaceOf(command: Command): LabPlace {
  const { id } = command.optsWithGlobals<{ readonly id: string }>();
  return { id, stateDir: join(LABS_DIR, id) };
}

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

/** The root of the lab's daemon, for a lab's name. Throws InvalidArgumentError where there is no such lab. */
export function labRoot(id: string, labsDir: string = LABS_DIR): string {
  if (!isLabId(id)) throw new InvalidArgumentError('1 to 32 lower-case letters, digits and "-".');
  const { rootDir } = labFiles(join(labsDir, id));
  if (!existsSync(rootDir))
    throw new InvalidArgumentError(`There is no such lab: sudo pointsman ${labWords(id, 'up')}`);
  return parseRoot(rootDir);
}
