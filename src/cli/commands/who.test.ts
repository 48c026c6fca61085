import { describe, expect, it } from 'vitest';
import { CliError } from '../cli-error.ts';
import { EXIT } from '../exit-code.ts';
import { whoQuery } from './who.ts';

function refusal(...words: readonly string[]): CliError {
  try {
    whoQuery(words);
  } catch (error) {
    if (error instanceof CliError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('whoQuery', () => {
  it('whoQuery takes a number for a process, and words for a connection whether quoted or not', () => {
    expect(whoQuery(['4711'])).toEqual({ pid: 4711 });
    const quoted = 'tcp 10.0.0.1:4000 -> 192.0.2.1:443';
    expect(whoQuery([quoted])).toEqual({ flow: quoted });
    expect(whoQuery(['10.0.0.1:4000', '192.0.2.1:443'])).toEqual({ flow: '10.0.0.1:4000 192.0.2.1:443' });
  });

  it.each([
    [['firefox'], '"firefox" is neither a process number nor a connection', 'pointsman apps --all shows'],
    [['org.example.Browser'], 'neither a process number nor a connection', 'pointsman route org.example.Browser'],
    [['tpc', '192.0.2.1:443'], 'there is no protocol "tpc"', 'did you mean "tcp"?'],
    [['tcp', '10.0.0.1:4000', '-'], 'put quotes around the connection', 'the shell'],
    [['0'], '0 is not a process number', ':0'],
    [['99999999999'], '99999999999 is not a process number', ':99999999999'],
    [['example.org:443'], '"example.org:443" is not an address with a port', '192.0.2.1:443'],
    [['; rm -rf /'], 'is not', 'tcp 10.0.0.1'],
  ])('whoQuery refuses %j, and says what to do', (words, message, hint) => {
    const error = refusal(...words);
    expect(error.exitCode).toBe(EXIT.usage);
    expect(error.message).toContain(message);
    expect(error.hint).toContain(hint);
  });
});
