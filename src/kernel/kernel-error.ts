/** The kernel, or a tool that speaks for it, refused an operation. */
export class KernelError extends Error {
  override readonly name = 'KernelError';
  /** What was tried, in words: "add route", "nft -f". */
  readonly operation: string;
  /** Positive errno, or 0 where the refusal was text. */
  readonly errno: number;
  /** Symbolic errno (`EPERM`) or `''`. */
  readonly code: string;
  /** What it was tried on. */
  readonly object: string;

  constructor(operation: string, errno: number, code: string, object: string, detail: string, options?: ErrorOptions) {
    super(`${operation}: ${detail}${object === '' ? '' : ` (${object})`}`, options);
    this.operation = operation;
    this.errno = errno;
    this.code = code;
    this.object = object;
  }

  get isNotFound(): boolean {
    return this.code === 'ENOENT' || this.code === 'ESRCH' || this.code === 'ENODEV';
  }

  get isExists(): boolean {
    return this.code === 'EEXIST';
  }

  get isDenied(): boolean {
    return this.code === 'EPERM' || this.code === 'EACCES';
  }
}
