/** Why the daemon does not start, with the exit code of docs/cli.md. */
export const START_EXIT = { failed: 1, alreadyRunning: 4, notPermitted: 5, missing: 6 } as const;

export class StartError extends Error {
  override readonly name = 'StartError';
  readonly exitCode: (typeof START_EXIT)[keyof typeof START_EXIT];

  constructor(cause: keyof typeof START_EXIT, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = START_EXIT[cause];
  }
}
