/** `status` for people: how things stand, what is wrong, and what to do next. */
import type {
  DaemonState,
  DnsStatistics,
  HealthWarning,
  IdentityStatus,
  Status,
  TierStatus,
  UplinkStatus,
  VerdictStatistics,
} from '../api/status.ts';
import type { WallMs } from '../net/clock.ts';
import { printable } from '../net/printable.ts';
import { renderDiagnostics } from '../policy/caret.ts';
import type { FamilyHealth } from '../policy/facts.ts';
import { formatDuration } from './duration.ts';
import { type Paint, painter, type Style } from './paint.ts';
import { shortFiles } from './short-files.ts';
import { type Cell, renderTable } from './text-table.ts';

export interface StatusTextOptions {
  readonly colour: boolean;
  readonly nowMs: WallMs;
}

/** Applications listed; the rest is counted. `--json` has them all. */
const MAX_APPS_SHOWN = 40;

const STATE_STYLES: Readonly<Record<DaemonState, Style>> = {
  starting: 'yellow',
  enforcing: 'green',
  degraded: 'yellow',
  blocked: 'alarm',
  stopping: 'yellow',
};

const STATE_MEANINGS: Readonly<Record<DaemonState, string>> = {
  starting: 'the policies are not in force yet',
  enforcing: 'the policies are in force',
  degraded: 'the last good policies are in force; something below needs attention',
  blocked: 'new connections are refused until the cause below is mended',
  stopping: 'the policies are being taken out of force',
};

/** Ends with a newline. */
export function renderStatus(status: Status, { colour, nowMs }: StatusTextOptions): string {
  const paint = painter(colour);
  const sections = [
    summary(status, nowMs, paint),
    uplinks(status, paint),
    ...(status.profiles === undefined ? [] : [profileLines(status.profiles)]),
    apps(status, paint),
    identity(status, paint),
    [...verdicts(status.verdicts), ...queries(status.dns)],
    ...(status.warnings.length > 0 ? [warnings(status.warnings, nowMs, paint)] : []),
    ...(status.diagnostics.length > 0 ? [renderDiagnostics(status.diagnostics, { colour }).trimEnd().split('\n')] : []),
    ...next(status, paint),
  ];
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function summary(status: Status, nowMs: WallMs, paint: Paint): readonly string[] {
  const { state, version, pid, sinceMs, root, revision, queue, residentBytes } = status;
  const facts = [
    `running for ${formatDuration(nowMs - sinceMs)}`,
    `process ${pid}`,
    `revision ${revision}`,
    `${queue} queue`,
    `${Math.round(residentBytes / 1_000_000)} MB`,
    ...(root === '/' ? [] : [`root ${printable(root)}`]),
  ];
  const onTrial = status.confirmBeforeMs === undefined ? '' : paint(' on trial', 'yellow');
  return [
    `pointsman ${printable(version)}: ${paint(state, STATE_STYLES[state])}${onTrial}, ${STATE_MEANINGS[state]}`,
    ...trial(status, nowMs, paint),
    paint(facts.join(', '), 'dim'),
  ];
}

/** Its end comes by itself: it stands where one looks first. */
function trial({ confirmBeforeMs }: Status, nowMs: WallMs, paint: Paint): readonly string[] {
  if (confirmBeforeMs === undefined) return [];
  const left = formatDuration(confirmBeforeMs - nowMs);
  return [`${paint(`taken back in ${left}`, 'yellow')}, unless you keep it: sudo pointsman confirm`];
}

function profileLines(profiles: NonNullable<Status['profiles']>): readonly string[] {
  const words = profiles.map(({ name, holds }) => `${printable(name)} ${holds ? 'holds' : 'does not hold'}`);
  return [`Profiles: ${words.join(', ')}`];
}

function uplinks(status: Status, paint: Paint): readonly string[] {
  if (status.uplinks.length === 0) return ['Uplinks: none; without one, every connection takes the system’s route.'];
  const rows = status.uplinks.map((uplink) => [
    uplink.name,
    uplink.device,
    stateCell(uplink),
    [...(uplink.v4 ? ['IPv4'] : []), ...(uplink.v6 ? ['IPv6'] : [])].join(' ') || '-',
    healthCell(uplink),
    uplink.properties,
    uplink.addresses.join(' '),
  ]);
  const head = ['UPLINK', 'DEVICE', 'STATE', 'CARRIES', 'HEALTH', 'PROPERTIES', 'ADDRESSES'];
  return renderTable({ head, rows }, paint);
}

function stateCell({ up, notTaken }: UplinkStatus): Cell {
  if (notTaken) return { text: 'not taken', style: 'yellow' };
  return { text: up ? 'up' : 'down', style: up ? 'green' : 'red' };
}

/** Both families in one where they are in the same state. */
function healthCell({ health: { v4, v6 } = {} }: UplinkStatus): Cell {
  if (v4 === undefined && v6 === undefined) return '-';
  const isBad = [v4, v6].some((family) => family?.state === 'failed' || family?.captivePortal === true);
  const text =
    v4 === undefined || v6 === undefined ? healthWords(v4 ?? v6) : `IPv4 ${healthWords(v4)}; IPv6 ${healthWords(v6)}`;
  return isBad ? { text, style: 'red' } : text;
}

function healthWords(health: FamilyHealth | undefined): string {
  if (health === undefined) return '-';
  const { state, rttMs, lossRatio = 0, captivePortal, validated } = health;
  return [
    captivePortal === true ? 'captive portal' : state === 'good' && validated === undefined ? 'link works' : state,
    ...(rttMs === undefined || state === 'failed' ? [] : [`${rttMs} ms`]),
    ...(lossRatio > 0 ? [`${Math.round(lossRatio * 100)} % lost`] : []),
  ].join(', ');
}

function apps(status: Status, paint: Paint): readonly string[] {
  if (status.apps.length === 0) return ['Applications: none; the system default holds for every program.'];
  const shown = status.apps.slice(0, MAX_APPS_SHOWN);
  const { shorten, note } = shortFiles(status.root);
  const rows = shown.map(({ app, rules, tier, files, blocked }) => [
    app,
    `${rules}`,
    blocked === undefined ? tier : ({ text: 'blocked', style: 'alarm' } as const),
    files.map(shorten).join(' '),
  ]);
  const rest = status.apps.length - shown.length;
  return [
    ...renderTable({ head: ['APPLICATION', 'RULES', 'TOLD BY', 'FILES'], rows }, paint),
    ...(rest > 0 ? [`and ${rest} more (status --json lists all)`] : []),
    ...note(shown.flatMap(({ files }) => files)),
  ];
}

/** How programs are told, and where the kernel cannot do it by itself. */
function identity(
  { identity: { executables, scripts, children, kept, sockets }, apps }: Status,
  paint: Paint,
): readonly string[] {
  // Without it everything is asked about as soon as some policy names a program.
  const asked = !executables.inKernel && apps.some(({ tier }) => tier === 'slow path');
  const others: TierStatus = asked ? { inKernel: false, because: 'some policy names a program' } : { inKernel: true };
  const rows = [
    tierCells('executables', executables, 'by the kernel', 'asked'),
    tierCells('scripts', scripts, 'as they are opened (fanotify)', 'by their command line'),
    tierCells('children', children, 'followed by the kernel', 'by living parents'),
    tierCells('cgroups', others, 'by the kernel', 'asked'),
    tierCells('users', others, 'by the kernel', 'asked'),
  ];
  if (kept !== undefined) rows.push(tierCells('without daemon', kept, 'kept', 'not kept'));
  if (sockets !== undefined) rows.push(['sockets', socketCounts(sockets)]);
  return ['Identity:', ...renderTable({ indent: '  ', rows }, paint)];
}

function socketCounts({ marked, unmarked, foreign }: NonNullable<IdentityStatus['sockets']>): string {
  return `${marked} marked, ${unmarked} without a mark, ${foreign} with a mark of others`;
}

function tierCells(
  what: string,
  { inKernel, because }: TierStatus,
  kernel: string,
  otherwise: string,
): readonly Cell[] {
  if (inKernel) return [what, kernel];
  return [what, { text: `${otherwise}${because === undefined ? '' : `, because ${because}`}`, style: 'yellow' }];
}

function queries({ asked, answered, failed, mismatched, learned }: DnsStatistics): readonly string[] {
  if (asked === 0) return [];
  const told = [
    `${answered} answered`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(mismatched > 0 ? [`${mismatched} false answers dropped`] : []),
  ];
  return [
    `DNS queries that followed their application: ${asked} (${told.join(', ')}); addresses learned ${learned} times`,
  ];
}

function verdicts({ latencyMicroseconds: latency, ...counts }: VerdictStatistics): readonly string[] {
  const { queued, accepted, rejected, dropped, held, undecodable } = counts;
  const told = [
    `${accepted} accepted`,
    `${rejected} refused`,
    `${dropped} dropped`,
    ...(held > 0 ? [`${held} waiting`] : []),
    ...(undecodable > 0 ? [`${undecodable} not understood`] : []),
  ];
  const took =
    latency === undefined
      ? ''
      : `; half within ${Math.round(latency.p50)} µs, 99 % within ${Math.round(latency.p99)} µs`;
  // After many refusals "0 refused" would be read as their number.
  const others = 'those that the kernel decides are not counted';
  return [`First packets judged by the daemon: ${queued} (${told.join(', ')})${took}; ${others}`];
}

function warnings(list: readonly HealthWarning[], nowMs: WallMs, paint: Paint): readonly string[] {
  return list.flatMap(({ code, message, hint, sinceMs }) => [
    `${paint('warning:', 'yellow')} ${printable(message)} [${printable(code)}], for ${formatDuration(nowMs - sinceMs)}`,
    ...(hint === undefined ? [] : [`      ${paint('hint:', 'cyan')} ${printable(hint)}`]),
  ]);
}

/** Only where there is something to do. */
function next(status: Status, paint: Paint): readonly (readonly string[])[] {
  const lines: string[] = [];
  if (status.diagnostics.some(({ severity }) => severity === 'error')) {
    lines.push('mend the files above; a saved file is read at once');
  }
  if (status.state === 'blocked') {
    lines.push('let everything pass for now: sudo pointsman panic open');
  }
  if (status.uplinks.length > 0 && status.uplinks.every(({ up }) => !up)) {
    lines.push('no uplink is up: see "ip -brief address"');
  }
  return lines.length === 0 ? [] : [[paint('Next:', 'bold'), ...lines.map((line) => `  ${line}`)]];
}
