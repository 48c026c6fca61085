import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openClient } from './client.ts';
import { daemonFollows } from './daemon-follows.ts';

const LINK = { uplink: 'wifi', device: 'wifi0', carrier: false, condition: { down: true } } as const;

/** A daemon that says one after the other, and the last for ever, whether wifi0 is up. Returns how often it was asked. */
async function follows(ups: readonly boolean[], device: string = LINK.device): Promise<readonly [boolean, number]> {
  const dir = mkdtempSync(join(tmpdir(), 'pointsman-follows-'));
  let asked = 0;
  const server = createServer((_, response) => {
    const up = ups[Math.min(asked, ups.length - 1)];
    asked += 1;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ uplinks: [{ device, up }] }));
  });
  try {
    const path = join(dir, 'socket');
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return [await daemonFollows(openClient(path), [LINK]), asked];
  } finally {
    server.close();
    rmSync(dir, { recursive: true });
  }
}

describe('daemonFollows', () => {
  it('daemonFollows() asks until the daemon sees what the link is', async () => {
    expect(await follows([true, true, false])).toEqual([true, 3]);
  });

  it('daemonFollows() waits for no uplink that the daemon does not have', async () => {
    expect(await follows([true], 'eth0')).toEqual([true, 1]);
  });
});
