/** Our rules and routes in the device, as iproute2 prints them. */
import { inDevice } from '../daemon/world.ts';

/** The lowest preference of ours where nobody's rules are in the way. */
export const DEFAULT_PLACE = 17_700;

/** Of both families, the lowest preference first; rules of one preference have no order of their own. */
export function ownRules(): string {
  return ['-4', '-6'].flatMap((family) => lines(inDevice('ip', family, 'rule')).sort(byPreference)).join('\n');
}

export function ownRoutes(): string {
  return ['-4', '-6']
    .flatMap((family) => lines(inDevice('ip', family, 'route', 'show', 'table', 'all')).sort())
    .join('\n');
}

export function firstPreference(): number {
  return Number.parseInt(ownRules(), 10);
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line.includes('proto 177'));

const byPreference = (a: string, b: string): number =>
  Number.parseInt(a, 10) - Number.parseInt(b, 10) || a.localeCompare(b);
