/** Our rules and routes in the device, as iproute2 prints them. */
import { inDevice } from '../daemon/world.ts';

/** Of both families, in their order. */
export function ownRules(): string {
  return ['-4', '-6'].flatMap((family) => lines(inDevice('ip', family, 'rule'))).join('\n');
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
