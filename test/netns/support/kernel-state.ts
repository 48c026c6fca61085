/** Everything in a device's kernel that a policy manager could leave behind or damage, as its own tools print it. */
import type { Device } from './device.ts';

export interface KernelState {
  /** Without counters: `nft -s`. */
  readonly nft: string;
  readonly rules: string;
  readonly routes: string;
  /** Marks of live flows that carry a bit of ours. */
  readonly marks: readonly string[];
}

const OURS = 0x80000000;
/** "No policy names it": another number after each start and each change of what is named. */
const NONE_MARK = /0x8000ff[0-9a-f]{2}/g;
/** Of all the rest, that number too. */
const SEAL = /(map plan_in_force \{[^}]*elements = \{)[^}]*/;
/** From a daemon's first check of itself on, beside its table. */
const CHECK_TABLE = /^table inet pointsman_check \{\n\tchain end \{\n\t\ttype filter hook [^\n]*\n\t\}\n\}\n/m;
const OWN_TABLE = /^table inet pointsman \{$/m;

/** What does not depend on when it was asked. */
function settled(nft: string): string {
  const steady = nft.replace(NONE_MARK, 'none').replace(SEAL, '$1');
  return OWN_TABLE.test(steady) ? steady.replace(CHECK_TABLE, '') : steady;
}

export async function kernelState(device: Device): Promise<KernelState> {
  const read = (...command: string[]): Promise<string> => device.must('device', command);
  const flows = await read('conntrack', '-L');
  const flows6 = await read('conntrack', '-L', '-f', 'ipv6');
  const marks = [...`${flows}${flows6}`.matchAll(/\bmark=(\d+)/g)].map(([, mark]) => Number(mark));
  return {
    nft: settled(await read('nft', '-s', 'list', 'ruleset')),
    rules: `${await read('ip', '-4', 'rule')}${await read('ip', '-6', 'rule')}`,
    routes: `${await allRoutes(device, '-4')}${await allRoutes(device, '-6')}`,
    marks: marks.filter((mark) => (mark & OURS) !== 0).map((mark) => `0x${mark.toString(16)}`),
  };
}

/** Sorted: a route that went and came back may stand elsewhere. */
async function allRoutes(device: Device, family: '-4' | '-6'): Promise<string> {
  const text = await device.must('device', ['ip', family, 'route', 'show', 'table', 'all']);
  return text.split('\n').sort().join('\n');
}

/** Lines that came (+) and went (-): what a failure is to show, instead of two whole states. */
export async function changesSince(device: Device, before: KernelState): Promise<readonly string[]> {
  const now = await kernelState(device);
  const text = ({ nft, rules, routes, marks }: KernelState): string[] =>
    [nft, rules, routes].flatMap((part) => part.split('\n')).concat(marks);
  return [...missing(text(now), text(before), '+ '), ...missing(text(before), text(now), '- ')];
}

/** Lines of the first that the second has fewer of. */
function missing(lines: readonly string[], others: readonly string[], sign: string): string[] {
  const left = new Map<string, number>();
  for (const line of others) left.set(line, (left.get(line) ?? 0) + 1);
  return lines.flatMap((line) => {
    const count = left.get(line) ?? 0;
    left.set(line, count - 1);
    return count > 0 ? [] : [`${sign}${line}`];
  });
}
