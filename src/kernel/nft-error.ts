import os from 'node:os';
import { KernelError } from './kernel-error.ts';

/** `/dev/stdin:3:1-10: Error: text`, or `Error: text` where nft has no place to point at. */
const ERROR_LINE = /^(?:\S+?:(\d+):\d+-\d+: )?(?:netlink: )?Error: (.*)$/m;
const LONGEST_QUOTED_LINE = 200;

/** The texts behind nft's refusals: strerror(3) in the C locale, and nft's own words for what it checks itself. */
const REFUSALS: readonly (readonly [text: string, code: keyof typeof os.constants.errno])[] = [
  ['No such file or directory', 'ENOENT'],
  ['element does not exist', 'ENOENT'],
  ['File exists', 'EEXIST'],
  ['interval overlaps with an existing one', 'EEXIST'],
  ['Device or resource busy', 'EBUSY'],
  ['Operation not permitted', 'EPERM'],
  ['Operation not supported', 'EOPNOTSUPP'],
  ['Invalid argument', 'EINVAL'],
  ['syntax error', 'EINVAL'],
  ['Cannot allocate memory', 'ENOMEM'],
  ['No space left on device', 'ENOSPC'],
  ['No buffer space available', 'ENOBUFS'],
  ['Too many levels of symbolic links', 'ELOOP'],
  ['Too many links', 'EMLINK'],
  ['Numerical result out of range', 'ERANGE'],
  ['Message too long', 'EMSGSIZE'],
];

/** What nft printed when it refused `batch`, with the line of the batch that it points at as the error's object. */
export function nftError(stderr: string, batch: string): KernelError {
  const match = ERROR_LINE.exec(stderr);
  const text = match?.[2] ?? (stderr.trim() || 'nft failed without a message');
  const code = REFUSALS.find(([refusal]) => text.includes(refusal))?.[1];
  const line = batch.split('\n')[Number(match?.[1] ?? 0) - 1] ?? '';
  const quoted = line.trim().slice(0, LONGEST_QUOTED_LINE);
  const detail = match?.[1] === undefined ? text : `${text} at line ${match[1]} of the batch`;
  return new KernelError('nft', code === undefined ? 0 : os.constants.errno[code], code ?? '', quoted, detail);
}
