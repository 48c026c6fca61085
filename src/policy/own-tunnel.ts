/**
 * Who carries a tun or tap device's packets on (OpenVPN, openconnect, wireguard-go, ssh -w) is a program with sockets as any other: a `via`
 * that takes the tunnel's uplink for these would send what carries the tunnel into it, again and again. Where only the default says so, what
 * a tunnel sends is the tunnel's; where a policy for the program does, it is refused. Pure.
 */
import { equalAddress } from '../net/address.ts';
import type { Flow } from '../net/flow.ts';
import type { Decision } from './decision.ts';
import type { Facts, HeldTunnel } from './facts.ts';
import type { SingleOwner } from './identity.ts';
import type { SystemDefault } from './model.ts';

/** The tunnels that somebody carries on who sends this: by who he is, or by the socket. */
function tunnelsOf({ heldTunnels = [] }: Facts, owner: SingleOwner, flow: Flow): readonly HeldTunnel[] {
  const isHolder = ({ holders }: HeldTunnel): boolean =>
    owner.kind === 'process' && holders.some(({ pid }) => pid === owner.pid);
  const sends = ({ sockets }: HeldTunnel): boolean =>
    sockets.some(
      ({ protocol, port, remote }) =>
        protocol === flow.protocol &&
        port === flow.sourcePort &&
        (remote === undefined || equalAddress(remote, flow.destination)),
    );
  return heldTunnels.filter((tunnel) => isHolder(tunnel) || sends(tunnel));
}

/** What is decided about a flow whoever sends it, as it is for who carries a tunnel on. */
export function keepOutOfOwnTunnel(
  decision: Decision,
  { facts, owner, flow, systemDefault }: OwnTunnelQuestion,
): Decision {
  if (decision.verdict !== 'accept' || decision.way.kind !== 'uplink' || flow.inbound || owner.kind === 'kernel')
    return decision;
  const { name } = decision.way;
  const device = facts.uplinks.find((uplink) => uplink.name === name)?.device;
  const own = tunnelsOf(facts, owner, flow).find(({ carries }) => device !== undefined && carries.includes(device));
  if (own === undefined) return decision;
  const { app, choice, reason } = decision;
  if (choice?.via === systemDefault.via?.at)
    return {
      verdict: 'accept',
      way: { kind: 'system' },
      reason: { kind: 'tunnel' },
      ...(app !== undefined && { app }),
    };
  return {
    verdict: 'reject',
    cause: 'own-tunnel',
    reason,
    tunnel: own.device,
    ...(app !== undefined && { app }),
    ...(choice !== undefined && { choice }),
  };
}

export interface OwnTunnelQuestion {
  readonly facts: Facts;
  readonly owner: SingleOwner;
  readonly flow: Flow;
  readonly systemDefault: Pick<SystemDefault, 'via'>;
}
