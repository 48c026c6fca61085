/** The scenario of a VPN for everything beside the daemon, for kernels with and without WireGuard. */
import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildNetwork,
  DaemonProcess,
  eventually,
  FIRST,
  once,
  Root,
  removeNetwork,
  SECOND,
  SERVER4,
  SERVER6,
  startServer,
} from '../daemon/world.ts';
import { foreignState } from './foreign-state.ts';
import { DEFAULT_PLACE, firstPreference, ownRules } from './own-rules.ts';
import { RuleMonitor } from './rule-monitor.ts';
import { TUNNEL, WgQuick } from './wg-quick.ts';

const ROUTER4 = '10.9.1.1';

export function describeWgQuick(): void {
  let root: Root;
  let server: ChildProcess;
  let tunnel: WgQuick;
  let daemon: DaemonProcess;

  beforeAll(async () => {
    buildNetwork();
    server = await startServer();
    root = new Root();
    // The tunnel would be an uplink by itself, whose rules go with it.
    root.write('etc/pointsman/default.yaml', 'pointsman: 1\nuplinks: files\n');
    root.policy('mail', 'rules:\n  - { to: ["*"], do: allow, via: { require: { type: cellular }, else: block } }\n');
    root.policy('news', 'rules:\n  - { to: ["*:81"], do: deny }\n');
    tunnel = await WgQuick.create();
  });

  afterAll(async () => {
    await daemon?.signal('SIGKILL');
    tunnel?.[Symbol.dispose]();
    server?.kill('SIGKILL');
    removeNetwork();
    root?.remove();
  });

  /** By its policy, through the tunnel, and to the local network. */
  async function bothHold(): Promise<void> {
    await eventually(
      () => once(root, 'mail', 'tcp', SERVER4, 80),
      (seen) => seen === SECOND.v4,
    );
    // The two ends may have to try again (5 s) until they know each other.
    await eventually(
      () => once(root, 'other', 'tcp', SERVER4, 80),
      (seen) => seen === TUNNEL.v4,
    );
    const seen = await Promise.all([
      once(root, 'mail', 'udp', SERVER4, 80),
      once(root, 'mail', 'tcp', SERVER6, 80),
      once(root, 'news', 'udp', SERVER4, 80),
      once(root, 'other', 'tcp', SERVER6, 80),
      once(root, 'news', 'tcp', ROUTER4, 80),
    ]);
    expect(seen).toEqual([SECOND.v4, SECOND.v6, TUNNEL.v4, TUNNEL.v6, FIRST.v4]);
    expect(['EPERM', 'EHOSTUNREACH']).toContain(await once(root, 'news', 'udp', SERVER4, 81));
    // wg-quick drops what comes to its address from elsewhere but by the tunnel: the reset of our refusal, too.
    expect(await once(root, 'news', 'tcp', SERVER4, 81)).toBe('timeout');
    const { warnings } = await daemon.status();
    // That its packets pass undecided is said; that it is in our way is not, for it is not.
    expect(warnings.map(({ code }) => code).filter((code) => code !== 'foreign-mark')).toEqual([]);
  }

  describe('beside wg-quick, the daemon', () => {
    it('holds when the tunnel comes up first, and leaves it as it was', async () => {
      tunnel.up();
      const alone = foreignState();
      daemon = await DaemonProcess.start(root);
      await bothHold();
      expect(firstPreference()).toBe(DEFAULT_PLACE);
      await daemon.signal('SIGTERM');
      expect(foreignState()).toBe(alone);
    });

    it('loses no rule to wg-quick, which deletes its own by what they say and not by their number', async () => {
      daemon = await DaemonProcess.start(root);
      await using monitor = await RuleMonitor.start();
      tunnel.down();
      await eventually(
        () => once(root, 'other', 'tcp', SERVER4, 80),
        (seen) => seen === FIRST.v4,
      );
      expect(monitor.deleted).toEqual([]);
    });

    it('goes before the tunnel’s rules when they come after ours, and back when they go', async () => {
      const rules = ownRules();
      tunnel.up();
      await bothHold();
      expect(firstPreference()).toBeLessThan(DEFAULT_PLACE);
      tunnel.down();
      await eventually(ownRules, (now) => now === rules);
      expect(await once(root, 'other', 'tcp', SERVER4, 80)).toBe(FIRST.v4);
    });
  });
}
