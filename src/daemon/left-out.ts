/** A list of parts that the daemon is to do without: for tests and measurements, and `totals` also for who wants it so. */
export const WITHOUT = 'POINTSMAN_WITHOUT';

/** `totals`: what connections that have ended have carried. */
export type Part = 'bpf' | 'fanotify' | 'totals';

export function isLeftOut(part: Part, environment: NodeJS.ProcessEnv = process.env): boolean {
  return (environment[WITHOUT] ?? '').split(',').includes(part);
}
