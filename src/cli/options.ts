/** Options that several commands have. */
import { InvalidArgumentError, Option } from 'commander';
import { parseDurationMs } from '../policy/duration.ts';

export function confirmOption(description: string): Option {
  return new Option('--confirm <duration>', description).argParser((text: string): number => {
    const ms = parseDurationMs(text);
    if (ms === undefined) throw new InvalidArgumentError('A duration is a number with ms, s, m or h: 30s.');
    return ms;
  });
}

export function jsonOption(): Option {
  return new Option('--json', 'print JSON');
}

export interface JsonOption {
  readonly json?: true;
}
