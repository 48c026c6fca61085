/** Does what a hint says, as a person would: by the very words. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { POINTSMAN } from './build-program.ts';

/** A program of one word, by which a person calls the checkout's. `command` is what hints call it by. */
export function oneWordProgram(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  const words = POINTSMAN.map((word) => `'${word}'`).join(' ');
  writeFileSync(path, `#!/bin/sh\nPOINTSMAN_COMMAND=${path}\nexport POINTSMAN_COMMAND\nexec ${words} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

/** The commands that a hint or a message names, in their order, without sudo: for a shell. */
export function commandsIn(text: string): readonly string[] {
  return [...text.matchAll(/sudo ([^;,"()\n]+)/g)].map(([, command = '']) => command.trim());
}
