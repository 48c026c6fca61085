/** The files that somebody wants to try: what each of them is, so that it counts in the place of the administrator's. */
import { basename, dirname } from 'node:path';
import type { TriedFile } from '../api/request.ts';
import { type FileKind, kindOfFile } from '../store/file-kind.ts';
import { readSourceFile } from '../store/source-file.ts';
import { CliError } from './cli-error.ts';
import { EXIT } from './exit-code.ts';
import { findPolicyFiles } from './find-policy-files.ts';

const DIRECTORY_OF: Record<Exclude<FileKind, 'default' | 'packages'>, string> = {
  policy: 'policies',
  uplink: 'uplinks',
  profile: 'profiles',
};

export interface FoundTrial {
  readonly files: readonly TriedFile[];
  /** Where each stands, by its path below `/etc/pointsman`. */
  readonly sources: ReadonlyMap<string, string>;
}

/** Of a directory laid out as `/etc/pointsman`, or of files without order. Throws CliError where there are none, or two of one name. */
export function findTrial(directory: string): FoundTrial {
  const { files: found } = findPolicyFiles([directory]);
  const sources = new Map<string, string>();
  const files = found.map((source): TriedFile => {
    const file = readSourceFile(source);
    const bytes = file.kind === 'read' ? file.bytes : new Uint8Array();
    const path = placeOf(source, bytes);
    const other = sources.get(path);
    if (other !== undefined) throw new CliError(EXIT.failed, `${other} and ${source} would both be ${path}`);
    sources.set(path, source);
    return file.kind === 'masked' ? { path } : { path, base64: Buffer.from(bytes).toString('base64') };
  });
  if (files.length === 0) {
    const hint = 'a directory like /etc/pointsman, with policies/ and uplinks/, or with the files themselves';
    throw new CliError(EXIT.failed, `there is no policy file in ${directory}`, { hint });
  }
  return { files, sources };
}

/** Below `/etc/pointsman`. */
function placeOf(source: string, bytes: Uint8Array): string {
  const kind = kindOfFile(source, bytes);
  if (kind === 'default' || kind === 'packages') return `${kind}.yaml`;
  const isLock = kind === 'policy' && basename(dirname(source)) === 'locks';
  return `${isLock ? 'locks' : DIRECTORY_OF[kind]}/${basename(source)}`;
}
