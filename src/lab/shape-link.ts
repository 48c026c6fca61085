/**
 * How fast, how slow and how lossy an uplink's link is: in its router, both directions, so that the device's own queueing
 * disciplines stay free for policies.
 */
import { LabError } from './lab-error.ts';
import type { LinkCondition } from './link-condition.ts';
import { findTool, runTool } from './run-tool.ts';
import { type LabUplink, namespaceName, ROUTER_INSIDE } from './world.ts';

export interface LinkShaping {
  /** What loses the packets; absent where none are lost. */
  readonly lossBy?: 'netem' | 'nft';
  /** Queueing disciplines that were wanted and that this kernel has not got. */
  readonly missing: readonly ('netem' | 'tbf')[];
}

const TBF_BURST_BYTES = 8 * 1024;
const TBF_LATENCY_MS = 300;
/** A fast link that is delayed by a second holds this many packets (tc-netem(8), limit). */
const NETEM_LIMIT_PACKETS = 100_000;
const LOSS_TABLE = 'lab_loss';
/** Before conntrack, as on a wire. */
const ARRIVING_PRIORITY = -350;
const LEAVING_PRIORITY = 350;
/** numgen counts whole numbers: a hundredth of a percent is the smallest loss. */
const LOSS_SCALE = 10_000;

/** Idempotent. What `condition` does not state is as the lab was built. Throws LabError. */
export async function shapeLink(id: string, uplink: LabUplink, condition: LinkCondition): Promise<LinkShaping> {
  const router = namespaceName(id, uplink.router);
  const rate = condition.rateBitsPerSecond ?? uplink.shape?.rateBitsPerSecond;
  const delayMs = condition.delayMs ?? uplink.shape?.delayMs ?? 0;
  const lossPercent = condition.lossPercent ?? 0;
  const netem = (delayMs > 0 || lossPercent > 0) && (await hasNetem(router));
  const missing = new Set<'netem' | 'tbf'>();
  if (delayMs > 0 && !netem) missing.add('netem');
  // A round trip is delayed once: on the way to the device.
  for (const [device, deviceDelayMs] of [
    [ROUTER_INSIDE, delayMs],
    ['outside', 0],
  ] as const) {
    await removeQdisc(router, device);
    const first = netem ? netemOptions(deviceDelayMs, lossPercent) : [];
    if (first.length > 0) await addQdisc(router, device, ['root', 'handle', '1:', ...first]);
    if (rate === undefined) continue;
    const parent = first.length > 0 ? ['parent', '1:1', 'handle', '10:'] : ['root', 'handle', '1:'];
    if (!(await addQdisc(router, device, [...parent, ...tbfOptions(rate)]))) missing.add('tbf');
  }
  await loseByNft(router, netem ? 0 : lossPercent);
  return { ...(lossPercent > 0 ? { lossBy: netem ? 'netem' : 'nft' } : {}), missing: [...missing] };
}

/** Whether this kernel can delay packets; it is tried on a device that carries none. */
export async function hasNetem(router: string): Promise<boolean> {
  if (!(await addQdisc(router, 'lo', ['root', 'netem']))) return false;
  await removeQdisc(router, 'lo');
  return true;
}

function netemOptions(delayMs: number, lossPercent: number): readonly string[] {
  if (delayMs === 0 && lossPercent === 0) return [];
  return [
    'netem',
    'limit',
    `${NETEM_LIMIT_PACKETS}`,
    ...(delayMs > 0 ? ['delay', `${delayMs}ms`] : []),
    ...(lossPercent > 0 ? ['loss', `${lossPercent}%`] : []),
  ];
}

function tbfOptions(rateBitsPerSecond: number): readonly string[] {
  const options = ['rate', `${rateBitsPerSecond}bit`, 'burst', `${TBF_BURST_BYTES}b`, 'latency', `${TBF_LATENCY_MS}ms`];
  return ['tbf', ...options];
}

/** False where this kernel has no such discipline. */
async function addQdisc(namespace: string, device: string, options: readonly string[]): Promise<boolean> {
  try {
    await runTool('tc', ['-n', namespace, 'qdisc', 'add', 'dev', device, ...options]);
    return true;
  } catch (error) {
    // Other failures than a kernel without this discipline are real ones.
    if (error instanceof LabError && /kind is unknown|No such file/.test(error.message)) return false;
    throw error;
  }
}

async function removeQdisc(namespace: string, device: string): Promise<void> {
  try {
    await runTool('tc', ['-n', namespace, 'qdisc', 'del', 'dev', device, 'root']);
  } catch (error) {
    // The one that every device has by itself cannot be removed, and need not be.
    if (!(error instanceof LabError && /handle of zero|No such file|Invalid argument/.test(error.message))) throw error;
  }
}

async function loseByNft(router: string, lossPercent: number): Promise<void> {
  const emptied = `table inet ${LOSS_TABLE} {}\ndelete table inet ${LOSS_TABLE}\n`;
  const ruleset = emptied + (lossPercent > 0 ? lossRuleset(lossPercent) : '');
  await runTool('nsenter', [`--net=/run/netns/${router}`, '--', findTool('nft'), '-f', '-'], ruleset);
}

function lossRuleset(lossPercent: number): string {
  const lost = Math.round((lossPercent * LOSS_SCALE) / 100);
  // nft refuses a comparison that is always true.
  const lose = lost < LOSS_SCALE ? `numgen random mod ${LOSS_SCALE} < ${lost} counter drop` : 'counter drop';
  return `table inet ${LOSS_TABLE} {
  chain arriving {
    type filter hook prerouting priority ${ARRIVING_PRIORITY};
    iifname "${ROUTER_INSIDE}" ${lose}
  }
  chain leaving {
    type filter hook postrouting priority ${LEAVING_PRIORITY};
    oifname "${ROUTER_INSIDE}" ${lose}
  }
}
`;
}
