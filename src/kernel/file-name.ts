import { lstatSync, readlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { type FileName, fileNameOf } from '../bpf/records.ts';
import { fileLooks } from './file-looks.ts';
import { MAX_LINKS } from './symbolic-links.ts';

/** The name of the file that is at an absolute path, unless a link is. */
export function nameAtPath(path: string): FileName {
  return fileNameOf(Buffer.from(path.slice(path.lastIndexOf('/') + 1)));
}

/** What the file is called, or will be, to which links at an absolute path lead; `undefined` where none is there. */
export function nameWhereLinkLeads(path: string): FileName | undefined {
  let at = path;
  for (let links = 0; links < MAX_LINKS; links += 1) {
    const target = linkTarget(at);
    if (target === undefined) return links === 0 ? undefined : nameAtPath(at);
    // Not normalized: what `..` means behind another link only the kernel knows.
    at = target.startsWith('/') ? target : `${dirname(at)}/${target}`;
  }
  return undefined;
}

/** What a link says; `undefined` where no link is, or its directory does not answer. */
export function linkTarget(path: string): string | undefined {
  // A link is read by whoever answers for its directory.
  const looks = fileLooks();
  if (!looks.answers(dirname(path)) || looks.isMountedFromElsewhere(path)) return undefined;
  try {
    // Most are none: an exception costs more than to ask.
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true ? readlinkSync(path) : undefined;
  } catch {
    return undefined;
  }
}
