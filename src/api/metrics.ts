/** `GET /v1/metrics.json`: what monitoring asks for. `GET /v1/metrics` is the same as text (`exposition.ts`). Plain JSON. */

export interface MetricsReport {
  readonly families: readonly MetricFamily[];
}

/** Samples of one name. */
export interface MetricFamily {
  /** Stable. With its unit, in the base units of Prometheus; a counter's ends with `_total`. */
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  /** One sentence. */
  readonly help: string;
  readonly samples: readonly MetricSample[];
}

export interface MetricSample {
  /** An empty value is the same as none. No two samples of a family have the same. */
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
