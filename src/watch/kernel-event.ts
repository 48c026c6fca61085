/** What happens in the kernel without our doing, as plain data. */
import type { ConntrackEvent } from '../netlink/conntrack.ts';
import type { Neighbour } from '../netlink/neighbour.ts';
import type { LoggedPacket } from '../netlink/nflog.ts';
import type { Generation } from '../netlink/nftables.ts';

export type KernelEvent =
  /** Devices, addresses, routes or routing rules: look again. */
  | { readonly kind: 'network changed' }
  /** Routes or routing rules of ours have gone. */
  | { readonly kind: 'own routing removed' }
  /** Somebody else has committed a change to nftables. `isOurs`: to where rules of ours are. */
  | { readonly kind: 'ruleset changed'; readonly by: Generation; readonly isOurs: boolean }
  | { readonly kind: 'flows'; readonly events: readonly ConntrackEvent[] }
  | { readonly kind: 'logged'; readonly packets: readonly LoggedPacket[] }
  /** What the last guard has dropped. */
  | { readonly kind: 'guarded'; readonly packets: readonly LoggedPacket[] }
  /** What is known now of neighbours that are watched. */
  | { readonly kind: 'neighbours'; readonly neighbours: readonly Neighbour[] }
  /** Events came faster than they were taken: some are lost, so what was derived from them must be read anew. */
  | { readonly kind: 'resynchronise'; readonly source: EventSource };

export type EventSource = 'network' | 'ruleset' | 'flows' | 'log';
