/** `pointsman lab link`: takes a way out away, or makes it worse, as it happens to real ones; and says how it is. */
import { setTimeout as delay } from 'node:timers/promises';
import { defaultRoutes } from './default-routes.ts';
import { existingNamespaces } from './lab-down.ts';
import { LabError } from './lab-error.ts';
import { requireLabId, requireRoot } from './lab-preconditions.ts';
import { readMarker } from './lab-state.ts';
import { labWords } from './lab-words.ts';
import {
  changeCondition,
  type LinkChange,
  type LinkCondition,
  type LinkConditions,
  readConditions,
  writeConditions,
} from './link-condition.ts';
import { runTool } from './run-tool.ts';
import { hasNetem, shapeLink } from './shape-link.ts';
import { LAB_UPLINKS, type LabUplink, type LabUplinkName, namespaceName, ROUTER_INSIDE } from './world.ts';

export interface LinkState {
  readonly uplink: LabUplinkName;
  readonly device: string;
  /** Of the device, as programs there see it. */
  readonly carrier: boolean;
  readonly condition: LinkCondition;
}

export interface LabLinkReport extends LinkState {
  /** Tunnels that take this uplink: their carrier has followed. */
  readonly dependents: readonly LinkState[];
}

export interface LabLinkOptions {
  readonly id: string;
  readonly stateDir: string;
  readonly uplink: LabUplinkName;
  readonly change: LinkChange;
}

/** A tunnel notices within the time of its silence; a machine that is busy takes longer. */
const CARRIER_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

/**
 * Idempotent; returns when the device has lost its carrier or has it back. Throws LabError `not-up`, `missing-kernel-feature`
 * where this kernel cannot do what is asked for, in which case nothing has changed.
 */
export async function labLink({ id, stateDir, uplink: name, change }: LabLinkOptions): Promise<LabLinkReport> {
  requireRoot();
  requireLabId(id);
  const marker = await readMarker(stateDir);
  if (marker?.stage !== 'up' || marker.id !== id || existingNamespaces(id).length === 0) {
    throw new LabError('not-up', `the lab "${id}" is not up; build it first: sudo pointsman ${labWords(id, 'up')}`);
  }
  const uplink = labUplink(name);
  const before = await readConditions(stateDir);
  const wanted = changeCondition(before[name] ?? {}, change);
  await requireKernel(namespaceName(id, uplink.router), change);
  const { lossBy } = await shapeLink(id, uplink, wanted);
  const condition = { ...wanted, ...(lossBy === undefined ? {} : { lossBy }) };
  await setLink(id, uplink, condition.down === true ? 'down' : 'up');
  const after: LinkConditions = { ...before, [name]: condition };
  await writeConditions(stateDir, after);
  const states = await untilCarriersFollow(id, after);
  const state = states.find((candidate) => candidate.uplink === name);
  if (state === undefined) throw new Error(`the lab has no ${name}`);
  const over = new Set(LAB_UPLINKS.filter((candidate) => candidate.over === name).map((candidate) => candidate.name));
  const dependents = states.filter((candidate) => over.has(candidate.uplink));
  return { ...state, dependents };
}

/** The far end goes down or up, and the device's default routes go and come as a network manager has it. */
async function setLink(id: string, uplink: LabUplink, state: 'up' | 'down'): Promise<void> {
  await runTool('ip', ['-n', namespaceName(id, uplink.router), 'link', 'set', ROUTER_INSIDE, state]);
  const verb = state === 'up' ? 'replace' : 'del';
  const routes = defaultRoutes(uplink).map((route) => `route ${verb} ${route}`);
  // Those that are gone already are as they should be: ip goes on behind them, and says so by its exit code alone.
  const device = ['-n', namespaceName(id, 'device')];
  if (state === 'up') await runTool('ip', [...device, '-batch', '-'], routes.join('\n'));
  else await runTool('ip', [...device, '-force', '-batch', '-'], routes.join('\n')).catch(unlessGone);
}

function unlessGone(error: unknown): void {
  if (!(error instanceof LabError && /No such process/.test(error.message))) throw error;
}

/** All links as they are now; needs root. */
export async function linkStates(id: string, conditions: LinkConditions): Promise<readonly LinkState[]> {
  const listing = await runTool('ip', ['-n', namespaceName(id, 'device'), '-j', 'link', 'show']);
  const links = JSON.parse(listing) as readonly { readonly ifname: string; readonly flags: readonly string[] }[];
  return LAB_UPLINKS.map(({ name, device }) => ({
    uplink: name,
    device,
    carrier: links.some(({ ifname, flags }) => ifname === device && flags.includes('LOWER_UP')),
    condition: conditions[name] ?? {},
  }));
}

function labUplink(name: LabUplinkName): LabUplink {
  const found = LAB_UPLINKS.find((uplink) => uplink.name === name);
  if (found === undefined) throw new Error(`the lab has no ${name}`);
  return found;
}

/** Never a condition that is written down and does not hold. */
async function requireKernel(router: string, change: LinkChange): Promise<void> {
  if (change.kind !== 'delay' || change.delayMs === 0 || (await hasNetem(router))) return;
  throw new LabError(
    'missing-kernel-feature',
    'this kernel cannot delay packets: it has no netem queueing discipline (module sch_netem); loss and rate work without it',
  );
}

async function untilCarriersFollow(id: string, conditions: LinkConditions): Promise<readonly LinkState[]> {
  const deadlineMs = performance.now() + CARRIER_TIMEOUT_MS;
  for (;;) {
    const states = await linkStates(id, conditions);
    const late = states.filter(({ uplink, carrier }) => carrier !== shouldHaveCarrier(uplink, conditions));
    if (late.length === 0) return states;
    if (performance.now() > deadlineMs) {
      const which = late
        .map(({ device, carrier }) => `${device} ${carrier ? 'still has' : 'has no'} carrier`)
        .join(', ');
      throw new LabError('command-failed', `after ${CARRIER_TIMEOUT_MS} ms ${which}`);
    }
    await delay(POLL_MS);
  }
}

/** A tunnel has none while the uplink that it takes has none. */
function shouldHaveCarrier(name: LabUplinkName, conditions: LinkConditions): boolean {
  if (conditions[name]?.down === true) return false;
  const { over } = labUplink(name);
  return over === undefined || shouldHaveCarrier(over, conditions);
}
