import { describe, expect, it } from 'vitest';
import { displayWidth, renderDiagnostics } from './caret.ts';
import type { Diagnostic } from './diagnostic.ts';

const plain = { colour: false };
const mistake = (source: string, part: string, more: Partial<Diagnostic> = {}): Diagnostic => ({
  severity: 'error',
  code: 'invalid-value',
  message: 'no good',
  file: 'mail.yaml',
  line: 7,
  column: source.indexOf(part) + 1,
  length: part.length,
  source,
  ...more,
});
const lines = (diagnostic: Diagnostic) => renderDiagnostics([diagnostic], plain).split('\n');

describe('renderDiagnostics()', () => {
  it('renderDiagnostics() shows place, code, line, caret, hint and count', () => {
    const diagnostic = mistake('    do: alow', 'alow', { hint: 'did you mean "allow"?' });
    expect(renderDiagnostics([diagnostic, mistake('a', 'a', { severity: 'warning' })], plain)).toBe(
      [
        'mail.yaml:7:9: error: no good [invalid-value]',
        '    7 |     do: alow',
        '      |         ^^^^',
        '      hint: did you mean "allow"?',
        'mail.yaml:7:1: warning: no good [invalid-value]',
        '    7 | a',
        '      | ^',
        '1 error and 1 warning in 1 file',
        '',
      ].join('\n'),
    );
  });

  it('renderDiagnostics() keeps tabs, so that the caret stands right at any tab width', () => {
    expect(lines(mistake('\ta:\tbad', 'bad')).slice(1, 3)).toEqual(['    7 | \ta:\tbad', '      | \t  \t^^^']);
  });

  it('renderDiagnostics() counts wide, combining and double-unit characters as a terminal does', () => {
    expect(lines(mistake('日e\u0301😀 bad', 'bad'))[2]).toBe(`      | ${' '.repeat(6)}^^^`);
    expect(lines(mistake('a 日本', '日本'))[2]).toBe('      |   ^^^^');
  });

  it('renderDiagnostics() shows of a long line the part around the mistake', () => {
    const [, shown = '', carets = ''] = lines(mistake(`${'x'.repeat(3000)}bad${'y'.repeat(900)}`, 'bad'));
    expect(shown.length).toBeLessThan(170);
    expect(shown.slice(carets.indexOf('^'), carets.lastIndexOf('^') + 1)).toBe('bad');
  });

  it('renderDiagnostics() lets no control sequence reach the terminal', () => {
    const esc = '\u001b]0;evil\u0007';
    const text = renderDiagnostics([mistake(`${esc}bad`, 'bad', { message: esc, hint: esc, file: esc })], plain);
    expect(text).not.toMatch(/[^\P{Cc}\n]/u);
  });

  it('renderDiagnostics() shows a diagnostic without a source line', () => {
    const { source: _, ...unreadable } = mistake('', '', { column: 1, length: 1 });
    expect(renderDiagnostics([unreadable], plain)).toBe(
      'mail.yaml:7:1: error: no good [invalid-value]\n1 error in 1 file\n',
    );
  });

  it('renderDiagnostics() colours on request only, and says the same', () => {
    const coloured = renderDiagnostics([mistake('bad', 'bad')], { colour: true });
    expect(coloured).toContain('\u001b[');
    const stripped = coloured.split('\u001b').map((part) => part.replace(/^\[[0-9;]*m/, ''));
    expect(stripped.join('')).toBe(renderDiagnostics([mistake('bad', 'bad')], plain));
  });

  it('renderDiagnostics() is empty where there is nothing to say', () => {
    expect(renderDiagnostics([], plain)).toBe('');
  });
});

describe('displayWidth()', () => {
  it('displayWidth() is the number of terminal columns', () => {
    expect(['', 'abc', 'é', 'e\u0301', '한', '😀', 'ｆ'].map(displayWidth)).toEqual([0, 3, 1, 1, 2, 2, 2]);
  });
});
