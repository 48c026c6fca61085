/** What the kernel's log calls a packet that our rules refuse (the prefix of nft's `log`), for those who write it and those who read it. */
import type { RefusalCause } from '../policy/decision.ts';

export const REFUSAL_LOG: Readonly<Record<RefusalCause, string>> = {
  denied: 'denied',
  'no-uplink': 'no uplink',
  'other-device': 'other device',
  'local-blocked': 'local blocked',
  'own-tunnel': 'own tunnel',
};

export const DROPPED_LOG = 'dropped';
/** Of what comes in. */
export const NOT_ACCEPTED_LOG = 'not accepted';

const CAUSES: ReadonlyMap<string, RefusalCause> = new Map(
  (Object.keys(REFUSAL_LOG) as RefusalCause[]).map((cause) => [REFUSAL_LOG[cause], cause]),
);

/** What is called as nothing of ours is refused all the same. */
export const refusalCauseOf = (prefix: string): RefusalCause => CAUSES.get(prefix) ?? 'denied';
