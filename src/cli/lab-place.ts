import { join } from 'node:path';
import type { Command } from 'commander';

/** Below /run: gone after a reboot, as the namespaces are. */
const LABS_DIR = '/run/pointsman-lab';

export interface LabPlace {
  readonly id: string;
  readonly stateDir: string;
}

export function labPlaceOf(command: Command): LabPlace {
  const { id } = command.optsWithGlobals<{ readonly id: string }>();
  return { id, stateDir: join(LABS_DIR, id) };
}
