import { describe, expect, it } from 'vitest';
import { Departure } from './departure.ts';

describe('Departure', () => {
  it('Departure.ask() resolves what waits, once, and logs why', async () => {
    const lines: string[] = [];
    const departure = new Departure((line) => lines.push(line));
    expect(departure.leaving).toBeUndefined();
    departure.ask('signal SIGTERM', 'keep');
    departure.ask('signal SIGINT', 'keep');
    expect(await departure.asked).toEqual({ because: 'signal SIGTERM', leaving: 'keep' });
    expect(lines).toEqual(['pointsman: stopping: signal SIGTERM']);
  });

  it('Departure.ask() lets whoever wants all removed have it so, also where another one wanted it kept', () => {
    const departure = new Departure(() => undefined);
    departure.ask('handing over', 'keep');
    departure.ask('asked to', 'remove');
    expect(departure.leaving).toBe('remove');
    departure.ask('signal SIGTERM', 'keep');
    expect(departure.leaving).toBe('remove');
  });
});
