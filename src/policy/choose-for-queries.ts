import { chooseUplink, type WaysOut } from './choose-uplink.ts';
import type { UplinkChoice } from './decision.ts';
import type { Via } from './model.ts';

/**
 * The uplink for queries to a resolver on loopback, whose own family says nothing about that of the resolvers behind it: one
 * that has IPv4, else one that has IPv6.
 */
export function chooseForQueries(via: Via, ways: WaysOut): UplinkChoice {
  const choice = chooseUplink(via, 4, ways);
  return choice.way.kind === 'none' ? chooseUplink(via, 6, ways) : choice;
}
