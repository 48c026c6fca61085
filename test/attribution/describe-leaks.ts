/**
 * The tests, for every kernel: programs that send one datagram to where their policy forbids and end at once, while
 * everything without a policy may pass. Who is told too late leaks. POINTSMAN_LEAK_STARTS: how often each is started.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeLabCgroup } from '../../src/lab/cgroup.ts';
import { keepLeaks } from './keep-results.ts';
import type { Scenario, Stage } from './scenario.ts';
import { datagrams4 } from './scenarios/amounts.ts';
import type { LeakRow } from './score/table.ts';
import { World } from './world.ts';

const DEFAULT_STARTS = 100;
const STARTS = Number(process.env.POINTSMAN_LEAK_STARTS ?? DEFAULT_STARTS);
/** Verdicts on what is in the queue when the last program has ended. */
const LAST_VERDICT_MS = 500;
const MS_PER_START = 100;
const TIMEOUT_MS: number = 60_000 + STARTS * MS_PER_START;

/** What the daemon has to do with, and what it is told to do without. */
const TIERS = [
  { tiers: 'all', without: '', has: ['bpf', 'fanotify'] },
  { tiers: 'without fanotify', without: 'fanotify', has: ['bpf'] },
  { tiers: 'slow path only', without: 'bpf,fanotify', has: [] },
] as const;
type Tier = (typeof TIERS)[number]['has'][number];

interface Leak extends Scenario {
  readonly starts: number;
  /** Without any of these it comes too late for a program that ends at once. */
  readonly needs: readonly Tier[];
}

const DENIED = 'rules:\n  - { to: "*", do: deny }\notherwise: deny';
/** Starting an interpreter takes long. */
const PYTHON_STARTS = Math.ceil(STARTS / 4);
const sends = datagrams4(STARTS);
const repeat = { name: 'repeat', source: 'repeat.c' } as const;
const brief = {
  source: 'udp.c',
  isStatic: true,
  isBrief: true,
  count: 1,
  sends,
  starts: STARTS,
  companions: [repeat],
} as const;
const script = { ...brief, isStatic: false, match: ({ program }: Stage) => `script: ${program}` } as const;

const LEAKS: readonly Leak[] = [
  { ...brief, name: 'leak-exec', what: 'exec', policy: DENIED, needs: ['bpf'] },
  {
    ...brief,
    name: 'leak-children',
    what: 'children: same',
    source: 'repeat.c',
    companions: [{ name: 'other', source: 'udp.c' }],
    policy: `children: same\n${DENIED}`,
    needs: ['bpf'],
    run: (stage) => {
      const { world, program, companion, args } = stage;
      return world.run(stage, [program, `${STARTS}`, companion('other'), ...args()]);
    },
  },
  {
    ...script,
    name: 'leak-script',
    what: 'script, started as such (bash)',
    source: 'udp.bash',
    policy: DENIED,
    needs: ['bpf', 'fanotify'],
  },
  {
    ...script,
    name: 'leak-script-python',
    what: 'script, python3 SCRIPT',
    source: 'udp.py',
    policy: DENIED,
    needs: ['bpf', 'fanotify'],
    starts: PYTHON_STARTS,
    run: (stage) => repeated(stage, PYTHON_STARTS, ['/usr/bin/python3', stage.program]),
  },
  {
    ...brief,
    name: 'leak-cgroup',
    what: 'cgroup',
    policy: DENIED,
    match: ({ cgroup }) => `cgroup: ${cgroup}`,
    inCgroup: true,
    prepare: ({ world, scenario: { name } }) => void makeLabCgroup(world.device.id, name),
    // Policies here name scripts: what nobody has seen running might be an interpreter.
    needs: ['bpf', 'fanotify'],
  },
  { ...brief, name: 'leak-user', what: 'user', policy: DENIED, match: () => 'user: 4247', uid: '4247', needs: [] },
];
/** What it is compared with: the same program, allowed. */
const ALLOWED: Leak = { ...brief, name: 'no-leak', what: 'exec, allowed', needs: [] };

function repeated(stage: Stage, starts: number, command: readonly string[]): ReturnType<World['run']> {
  return stage.world.run(stage, [stage.companion('repeat'), `${starts}`, ...command, ...stage.args()]);
}

/** `patience`: how much longer everything takes than on a real machine. `tiers`: all ways to do without some, unless stated. */
export function describeLeaks(
  patience = 1,
  tiersWanted: readonly (typeof TIERS)[number]['tiers'][] = TIERS.map(({ tiers }) => tiers),
): void {
  const rows: LeakRow[] = [];
  const timeout = TIMEOUT_MS * patience;

  describe.each(TIERS.filter(({ tiers }) => tiersWanted.includes(tiers)))(
    'leaks with the tiers: $tiers',
    ({ tiers, without, has }) => {
      let world: World;

      beforeAll(async () => {
        world = await World.build({ name: 'leak', scenarios: [ALLOWED, ...LEAKS], without, patience });
      });

      afterAll(async () => {
        await world?.[Symbol.asyncDispose]();
        keepLeaks(rows);
      });

      /** Datagrams that arrived, of one each. */
      async function arrivedOf({ name, starts }: Leak): Promise<number> {
        const stage = world.stage(name);
        const { exitCode, stderr } = await (stage.scenario.run?.(stage) ?? repeated(stage, starts, [stage.program]));
        // A program that is refused by the kernel at once says so (EPERM); that it was started at all is what counts.
        expect(exitCode, stderr).toBe(0);
        await delay(LAST_VERDICT_MS * patience);
        const { wifi, cell } = await world.reference.packets(stage.address);
        return wifi.count + cell.count;
      }

      it('leaks: a program that is allowed to send is told from those that are not, or held to the strictest of them', {
        timeout,
      }, async () => {
        // Without BPF nobody knows who sent what when he has ended: docs/security.md, "Without BPF".
        const isTold = (has as readonly Tier[]).includes('bpf');
        expect(await arrivedOf(ALLOWED)).toBe(isTold ? STARTS : 0);
      });

      it.each(LEAKS)('leaks: $what', { timeout }, async (leak) => {
        const { what, starts, needs } = leak;
        const leaked = await arrivedOf(leak);
        const isPromised = needs.every((tier) => (has as readonly Tier[]).includes(tier));
        rows.push({ what, tiers, starts, leaked, isPromised });
        if (isPromised) expect(leaked).toBe(0);
      });
    },
  );
}
