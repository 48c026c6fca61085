import { type FileName, fileNameOf } from '../bpf/records.ts';

/** The name of the file that is at an absolute path, unless a link is. */
export function nameAtPath(path: string): FileName {
  return fileNameOf(Buffer.from(path.slice(path.lastIndexOf('/') + 1)));
}
