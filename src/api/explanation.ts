/** `POST /v1/explain`: why a flow would be decided as it would be. The answer is the `Explanation` that the policy layer computes. */
export type { ExplainedFlow, ExplainedRule, ExplainedUplink, Explanation } from '../policy/explain.ts';

export interface ExplainQuery {
  /** Exactly one of the three says who. */
  readonly app?: string;
  readonly exe?: string;
  readonly pid?: number;
  /** Address or name. */
  readonly host: string;
  readonly port?: number;
  readonly protocol: 'tcp' | 'udp' | 'icmp';
}
