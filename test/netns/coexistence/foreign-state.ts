/** All of the device's firewall and routing that could be somebody's, as its own tools print it. */
import { inDevice } from '../daemon/world.ts';

/** Tables that are ours, while we run. */
const OWN_TABLE = /^table inet pointsman \{\n.*?^\}\n/ms;
/** iptables-save begins and ends with the time, and counts packets. */
const SAVED_NOISE = /^# (?:Generated|Completed).*\n| \[\d+:\d+\]/gm;

/** Byte for byte the same where nobody has touched anything. */
export function foreignState(): string {
  const saved = [inDevice('iptables-save'), inDevice('ip6tables-save')].map((text) => text.replaceAll(SAVED_NOISE, ''));
  return [
    inDevice('nft', '-s', 'list', 'ruleset').replace(OWN_TABLE, ''),
    ...saved,
    ...['-4', '-6'].flatMap((family) => [
      inDevice('ip', family, 'rule'),
      sorted(inDevice('ip', family, 'route', 'show', 'table', 'all')),
    ]),
  ].join('\n');
}

/** A route that went and came back may stand elsewhere; those of sockets' caches come and go. */
const sorted = (text: string): string => text.split('\n').sort().join('\n');

/** Lines of the first that are not in the second. */
export function linesMissing(before: string, now: string): readonly string[] {
  const lines = new Set(now.split('\n'));
  return before.split('\n').filter((line) => !lines.has(line));
}
