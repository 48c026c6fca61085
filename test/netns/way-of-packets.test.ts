/**
 * A sample of what `src/plan/machine/way-equals-decide.test.ts` generates, on the kernel: for each machine, policy and packet, what
 * arrives at the other ends of the links is what the model says, by the same device, router and source; and so what `decide` says.
 *
 *     POINTSMAN_WAYS=500 POINTSMAN_SEED=7 npx vitest run --project netns test/netns/way-of-packets.test.ts
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../src/net/address.ts';
import type { PacketWay } from '../../src/plan/machine/packet-way.ts';
import { setting } from '../ways/generated-machine.ts';
import { APP_UID, packet, policySet } from '../ways/generated-policy.ts';
import { canBind, explainCase, judge, markOf, worldOf } from '../ways/judge-way.ts';
import { macOf, type Seen, type SendRequest, WayWorld } from './support/way-world.ts';

const CASES = Number(process.env.POINTSMAN_WAYS ?? 25);
const SEED = Number(process.env.POINTSMAN_SEED ?? Date.now() % 1_000_000);
const PACKETS_PER_WORLD = 5;
const TIMEOUT_PER_CASE_MS = 20_000;

const circumstances = fc.boolean().chain((isMarked) => fc.tuple(setting, policySet(isMarked), fc.constant(isMarked)));
const packets = fc.array(packet, { minLength: 2 * PACKETS_PER_WORLD, maxLength: 2 * PACKETS_PER_WORLD });
const samples = fc.sample(fc.tuple(circumstances, packets), {
  seed: SEED,
  numRuns: Math.ceil(CASES / PACKETS_PER_WORLD),
});

type Left = Extract<PacketWay, { readonly kind: 'left' }>;
type World = ReturnType<typeof worldOf>;
type Packet = (typeof samples)[number][1][number];

const requestFor = (world: World, one: Packet): SendRequest => ({
  sending: one.sending,
  // A ping socket is of the family that it sends by.
  family: one.sending === 'icmp' ? one.destination.family : one.socketFamily,
  destination: formatAddress(one.destination),
  port: one.destinationPort,
  mark: markOf(world, one),
  uid: one.isApps ? APP_UID : APP_UID + 1,
  ...(one.bound !== undefined && { bound: formatAddress(one.bound) }),
  ...(one.device !== undefined && { device: one.device }),
});

const arrived = (seen: readonly Seen[]): string[] => [
  ...new Set(seen.map(({ device, source, router }) => `${device} from ${source} to the router ${router}`)),
];
const expected = ({ device, seen, gateway, destination }: Left): string[] => [
  `${device} from ${formatAddress(seen)} to the router ${macOf(gateway ?? destination)}`,
];

async function check(built: WayWorld, world: World, one: Packet): Promise<void> {
  const judgement = judge(world, one);
  const { way, fault } = judgement;
  const text = explainCase(world, one, judgement);
  expect(fault, text).toBeUndefined();
  const request = requestFor(world, one);
  const { answer, seen } = await built.send(request, one.translatedTo && formatAddress(one.translatedTo));
  const told = `${JSON.stringify(answer)}\n${text}`;
  if (way.kind !== 'left' || way.device === 'lo') {
    expect(arrived(seen), told).toEqual([]);
    return;
  }
  if (way.relayedBy === undefined) {
    expect(arrived(seen), told).toEqual(expected(way));
    return;
  }
  // It goes to the relay, which is not there; what that would send is.
  expect(arrived(seen), told).toEqual([]);
  const relays = {
    ...request,
    family: way.destination.family,
    destination: formatAddress(way.destination),
    uid: 0,
    mark: way.relayedBy,
  };
  const { bound: _, ...unbound } = relays;
  const relayed = await built.send(unbound);
  expect(arrived(relayed.seen), told).toEqual(expected(way));
}

describe(`the way of ${CASES} packets by seed ${SEED}`, () => {
  it(
    'is on the kernel what the model says',
    async () => {
      let cases = 0;
      for (const [i, [where, all]] of samples.entries()) {
        const world = worldOf(...where);
        await using built = await WayWorld.build(world, `pmway${process.pid}x${i}`);
        for (const one of all.filter((each) => canBind(world, each)).slice(0, PACKETS_PER_WORLD)) {
          await check(built, world, one);
          cases += 1;
        }
      }
      console.log(`${cases} packets on ${samples.length} machines by seed ${SEED}`);
      expect(cases).toBeGreaterThanOrEqual(CASES);
    },
    CASES * TIMEOUT_PER_CASE_MS,
  );
});
