/**
 * Whether a file says that there is to be nothing: it hides the files of its name in weaker layers. That is stated, by `mask: true`
 * or by comments that say why: a file without a word may as well be what a full disk or a crashed editor left.
 */
import { keySpanOf, spanOf, type YamlDocument } from './document.ts';
import { quoted, type Report } from './report.ts';

export type MaskReading = 'masked' | 'broken' | 'no mask';

/** Keys that may stand beside `mask: true`: what is hidden, for people. */
const BESIDE: readonly string[] = ['mask', 'pointsman', 'app', 'uplink', 'profile', 'name'];

/** Reports what is wrong with a mask, and where a file says nothing at all. */
export function readMask(document: YamlDocument, report: Report): MaskReading {
  if (document.empty) return report.hasErrors() ? 'no mask' : readBlank(document, report);
  const { value } = document;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'no mask';
  if (!Object.hasOwn(value, 'mask') || report.hasErrors()) return 'no mask';
  if (Reflect.get(value, 'mask') !== true) {
    const message = '"mask" must be true: it says that the files of this name are to count for nothing';
    report.error(spanOf(document, ['mask']), { code: 'invalid-value', message, hint: 'leave "mask" out, or say true' });
    return 'broken';
  }
  const other = Object.keys(value).find((key) => !BESIDE.includes(key));
  if (other === undefined) return 'masked';
  const message = `${quoted(other)} has no meaning beside "mask: true", which says that there is to be nothing`;
  report.error(keySpanOf(document, [other]), { code: 'contradiction', message });
  return 'broken';
}

function readBlank({ source }: YamlDocument, report: Report): MaskReading {
  if (source.text.includes('#')) return 'masked';
  report.error(
    { from: 0, to: 0 },
    {
      code: 'empty-file',
      message: 'the file is empty, as a full disk or a crashed editor leaves it',
      hint: 'to hide the files of this name in weaker layers, write mask: true',
    },
  );
  return 'broken';
}
