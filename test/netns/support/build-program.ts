import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { nodeCommand } from '../../../src/kernel/node-command.ts';

export const CHECKOUT: string = fileURLToPath(new URL('../../..', import.meta.url));

/** What a person starts: the compiled command line. */
export const POINTSMAN: readonly string[] = nodeCommand(`${CHECKOUT}dist/main/pointsman.js`);

/** Brings `dist` up to date, so that the program under test is the source that stands here. */
export async function buildProgram(): Promise<void> {
  const tsc = ['node_modules/typescript/bin/tsc', '-b', 'src/main', 'src/lab'];
  try {
    await promisify(execFile)(process.execPath, tsc, { cwd: CHECKOUT });
  } catch (error) {
    const { stdout } = error as { readonly stdout?: string };
    throw new Error(`the program does not build\n${stdout ?? ''}`, { cause: error });
  }
}
