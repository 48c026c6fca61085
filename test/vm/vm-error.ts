export type VmErrorCode =
  | 'missing-tool'
  | 'unsupported-machine'
  | 'no-kernel-package'
  | 'download-failed'
  | 'unpack-failed'
  | 'boot-failed'
  | 'guest-panic'
  | 'timed-out';

/** The test bed could not be made or did not come to its end; what a guest's command says is a result, not an error. */
export class VmError extends Error {
  override readonly name = 'VmError';
  readonly code: VmErrorCode;

  constructor(code: VmErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
