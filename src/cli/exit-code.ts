/** How `pointsman` ends. Stable: scripts may rely on it. docs/cli.md and `pointsman help exit-codes` list the same. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notRunning: 3,
  alreadyRunning: 4,
  notPermitted: 5,
  missing: 6,
  degraded: 7,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODE_MEANINGS: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [EXIT.ok, 'done; with check: no mistakes'],
  [EXIT.failed, 'it did not work, or mistakes were found in files'],
  [EXIT.usage, 'the command line is wrong'],
  [EXIT.notRunning, 'the daemon (or the lab) is not running'],
  [EXIT.alreadyRunning, 'a daemon (or the lab) is running already'],
  [EXIT.notPermitted, 'not permitted: not root, not in the group pointsman'],
  [EXIT.missing, 'a part of the kernel, or a program that is needed, is missing'],
  [EXIT.degraded, 'status: the daemon runs, but not all is in force as the files say it (degraded or blocked)'],
];

export function renderExitCodes(): string {
  const lines = EXIT_CODE_MEANINGS.map(([code, meaning]) => `  ${code}  ${meaning}`);
  const exec =
    'lab exec passes on the exit code of the program that it ran (128 + n after signal n; 127 where there is no such program).';
  return ['Exit codes:', ...lines, '', exec, ''].join('\n');
}
