/** Requests that change something, and what they answer. Every error answer is `ApiError` with a 4xx or 5xx status. */
import type { Diagnostic } from '../policy/diagnostic.ts';

export interface ApiError {
  /** Stable: `not-permitted`, `not-found`, `apply-failed`, `bad-request`, `busy`. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** `POST /v1/reload`. With `confirmMs` the change is taken back unless `POST /v1/confirm` comes in time. */
export interface ReloadRequest {
  readonly confirmMs?: number;
}

export interface ReloadReport {
  readonly revision: number;
  readonly changes: number;
  readonly durationMs: number;
  readonly changedApps: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
  /** Set while a change waits for `pointsman confirm`; milliseconds since 1970. */
  readonly confirmBeforeMs?: number;
}

/** `POST /v1/try`: files that are to be the administrator's; root alone. With `confirmMs` only until then, unless confirmed. */
export interface TryRequest {
  readonly files: readonly TriedFile[];
  readonly confirmMs?: number;
}

export interface TriedFile {
  /** Below `/etc/pointsman`: `policies/mail.yaml`. */
  readonly path: string;
  /** Its bytes; absent where it is a mask. */
  readonly base64?: string;
}

/** `directory`: where the daemon reads them meanwhile, which is what diagnostics name. */
export type TryReport =
  | { readonly applied: false; readonly directory: string; readonly diagnostics: readonly Diagnostic[] }
  | ({ readonly applied: true; readonly directory: string } & ReloadReport);

/** `GET /v1/plan`: what is wanted, and how what is there differs. `diff` is one line a difference. */
export interface PlanReport {
  readonly revision: number;
  readonly nft: string;
  readonly rules: readonly string[];
  readonly routes: readonly string[];
  readonly xtables: readonly string[];
  readonly diff: readonly string[];
}

/** `GET /v1/health` and every answer's `pointsman-api` header. */
export const API_VERSION = 1;
