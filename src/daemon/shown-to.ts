/**
 * What the daemon tells of files, for one who asks: it reads as root, and who may ask it need not be allowed to read what it
 * read. Pure.
 */
import type { Diagnostic } from '../policy/diagnostic.ts';
import { mayRead, type Reader } from '../store/may-read.ts';
import type { PolicyFiles } from '../store/policy-files.ts';

/** Said where nothing of a file was read, or nothing but what kind of file it is. */
const WITHOUT_CONTENT: readonly Diagnostic['code'][] = ['unreadable-file', 'file-not-trusted', 'not-read'];

/** Place and code of every mistake, and what is wrong there, with the line, only of files that the reader may read. */
export function diagnosticsFor(
  reader: Reader,
  diagnostics: readonly Diagnostic[],
  { permissionsOf }: { readonly permissionsOf: PolicyFiles['permissionsOf'] },
): readonly Diagnostic[] {
  return reader.uid === 0
    ? diagnostics
    : diagnostics.map((diagnostic) => {
        const permissions = permissionsOf(diagnostic.file);
        const isShown = permissions !== undefined && mayRead(reader, permissions);
        return isShown || WITHOUT_CONTENT.includes(diagnostic.code) ? diagnostic : withoutContent(diagnostic);
      });
}

function withoutContent({ source: _, hint: __, ...place }: Diagnostic): Diagnostic {
  return { ...place, length: 1, message: 'what is wrong here is shown to who may read the file' };
}
