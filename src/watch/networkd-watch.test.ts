import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { testBackground } from '../../test/support/test-background.ts';
import { NetworkdWatch } from './networkd-watch.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pml-networkd-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('NetworkdWatch', () => {
  it('NetworkdWatch tells of a written file, as long as somebody wants to know', async () => {
    mkdirSync(join(directory, 'links'));
    const onChange = vi.fn();
    using watch = new NetworkdWatch(onChange, testBackground, directory);
    writeFileSync(join(directory, 'links/2'), 'DOMAINS=a.example\n');
    watch.watch({ on: true });
    writeFileSync(join(directory, 'links/3'), 'DOMAINS=b.example\n');
    await vi.waitFor(() => expect(onChange).toHaveBeenCalledTimes(1));
    watch.watch({ on: false });
    writeFileSync(join(directory, 'links/4'), 'DOMAINS=c.example\n');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(onChange).toHaveBeenCalledTimes(1);
  });

  it('NetworkdWatch is silent where networkd does not run', () => {
    using watch = new NetworkdWatch(() => expect.fail('told'), testBackground, join(directory, 'none'));
    watch.watch({ on: true });
  });

  it('NetworkdWatch stays silent once it is disposed of', async () => {
    mkdirSync(join(directory, 'links'));
    const watch = new NetworkdWatch(() => expect.fail('told'), testBackground, directory);
    watch.watch({ on: true });
    watch[Symbol.dispose]();
    watch.watch({ on: true });
    writeFileSync(join(directory, 'links/3'), 'DOMAINS=b.example\n');
    await new Promise((resolve) => setTimeout(resolve, 200));
  });
});
