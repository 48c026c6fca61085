/** Type information (BTF) that is malformed, or lacks what is asked of it. The only error its reader throws. */
export class BtfError extends Error {
  override readonly name = 'BtfError';
}

/** Instructions that have no encoding: a jump to nowhere, a number that does not fit. A mistake in a program, never in input. */
export class AssemblyError extends Error {
  override readonly name = 'AssemblyError';
}

/** Bytes of a map that do not have the length of the record they should be. */
export class RecordError extends Error {
  override readonly name = 'RecordError';
}
