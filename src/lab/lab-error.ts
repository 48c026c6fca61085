/** What can go wrong while the lab is built, used or taken down; `message` is made for the person at the terminal. */
export type LabErrorCode =
  | 'not-root'
  | 'bad-id'
  | 'bad-state-dir'
  | 'bad-policies'
  | 'missing-tool'
  | 'missing-kernel-feature'
  | 'command-failed'
  | 'no-command'
  | 'command-not-found'
  | 'already-up'
  | 'busy'
  | 'not-up'
  | 'inside-the-lab'
  | 'servers-failed'
  | 'daemon-failed'
  | 'no-cgroup2'
  | 'cannot-remove';

export class LabError extends Error {
  readonly code: LabErrorCode;

  constructor(code: LabErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LabError';
    this.code = code;
  }
}
