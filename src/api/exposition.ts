/**
 * The text format of Prometheus, version 0.0.4, which node_exporter's textfile collector reads as well. Pure.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import type { MetricFamily, MetricSample } from './metrics.ts';

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Ends with a newline. Families without a sample are left out. */
export function renderExposition(families: readonly MetricFamily[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(family)
    .join('');
}

function family({ name, type, help, samples }: MetricFamily): string {
  const head = [`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${type}`];
  return [...head, ...samples.map((sample) => `${name}${labels(sample)} ${number(sample.value)}`), ''].join('\n');
}

function labels({ labels: of }: MetricSample): string {
  const pairs = Object.entries(of).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** As Go's ParseFloat reads it. */
function number(value: number): string {
  if (Number.isFinite(value)) return `${value}`;
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
