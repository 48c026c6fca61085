/** How a person names a lab on the command line: the one that is meant without a name needs none. */
export const DEFAULT_LAB = 'lab';

/** `lab exec` or `lab --id mine exec`, for lines to copy. */
export const labWords = (id: string, command: string): string =>
  id === DEFAULT_LAB ? `lab ${command}` : `lab --id ${id} ${command}`;

/** At the beginning of a sentence. */
export const labCalled = (id: string): string => (id === DEFAULT_LAB ? 'The lab' : `The lab "${id}"`);
