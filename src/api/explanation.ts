/** `POST /v1/explain`: why a flow would be decided as it would be. Question and answer are what the policy layer computes with. */
export type {
  ExplainedFlow,
  ExplainedRule,
  ExplainedUplink,
  ExplainQuery,
  ExplainWho,
  Explanation,
  InboundQuestion,
  OutboundQuestion,
} from '../policy/explain.ts';
