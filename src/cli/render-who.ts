/** `who` for people: one line for each piece of evidence, and for each that is missing the reason. */
import type {
  AccountEvidence,
  AncestorEvidence,
  ApplicationEvidence,
  CreatorEvidence,
  Evidence,
  ExecutableEvidence,
  FlowEvidence,
  FlowsReport,
  OwnerEvidence,
  ProcessEvidence,
  ProcessReport,
  SocketEvidence,
  WhoReport,
} from '../api/who.ts';
import { isMissing } from '../api/who.ts';
import type { WallMs } from '../net/clock.ts';
import { printable } from '../net/printable.ts';
import { formatDuration } from './duration.ts';
import { type Paint, painter } from './paint.ts';
import { type Cell, renderTable } from './text-table.ts';

export interface WhoTextOptions {
  readonly colour: boolean;
  readonly nowMs: WallMs;
}

/** A name, and what is known. */
type Line = readonly [what: string, cell: Cell];

/** Longer command lines are cut; `--json` has them whole. */
const MAX_COMMAND_LENGTH = 200;
const INDENT = '  ';

const DIRECTIONS: Readonly<Record<FlowEvidence['direction'], string>> = {
  out: 'opened from here',
  in: 'opened from the other end',
  through: 'passes through',
  'waiting for others': 'waits for others',
  'not known': 'nothing tells who opened it',
};

/** Ends with a newline. */
export function renderWho(report: WhoReport, { colour, nowMs }: WhoTextOptions): string {
  const paint = painter(colour);
  const sections =
    report.kind === 'process' ? processSections(report, nowMs, paint) : flowSections(report, nowMs, paint);
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

type Sections = readonly (readonly string[])[];

function processSections(report: ProcessReport, nowMs: WallMs, paint: Paint): Sections {
  const { process, application, sockets, moreSockets } = report;
  const head = paint(`process ${process.pid}`, 'bold');
  const lines: Line[] = [
    applicationLine(application),
    ...processLines(process, nowMs),
    ...sockets.map((socket): Line => ['socket', socketText(socket, process.pid)]),
    ...(sockets.length === 0 ? [['socket', 'no internet socket is open'] as const] : []),
    ...(moreSockets > 0 ? [['', `and ${moreSockets} more sockets`] as const] : []),
  ];
  return [[head, ...table(lines, paint)]];
}

function flowSections({ flows, more }: FlowsReport, nowMs: WallMs, paint: Paint): Sections {
  const rest = more === 0 ? [] : [[`and ${more} more: say more of the one that you mean`]];
  return [...flows.map((flow) => flowSection(flow, nowMs, paint)), ...rest];
}

function flowSection(
  { flow, direction, conntrack, sockets, owners }: FlowEvidence,
  nowMs: WallMs,
  paint: Paint,
): readonly string[] {
  const head = `${paint(printable(flow), 'bold')}, ${DIRECTIONS[direction]}`;
  const lines: Line[] = [
    ['decided', known(conntrack, ({ mark, meaning }) => `${meaning} (mark ${mark})`)],
    ...(isMissing(sockets)
      ? [['socket', unknown(sockets.because)] as const]
      : sockets.flatMap((each) => socketLines(each, nowMs))),
    ...owners.flatMap((owner, at) => ownerLines(owner, owners.length === 1 ? undefined : at + 1, nowMs)),
  ];
  return [head, ...table(lines, paint)];
}

function table(lines: readonly Line[], paint: Paint): readonly string[] {
  const rows = lines.map(([what, cell], at): readonly Cell[] => [
    { text: lines[at - 1]?.[0] === what ? '' : what, style: 'dim' },
    cell,
  ]);
  return renderTable({ indent: INDENT, rows }, paint);
}

function known<T extends object>(evidence: Evidence<T>, text: (evidence: T) => Cell): Cell {
  return isMissing(evidence) ? unknown(evidence.because) : text(evidence);
}

function unknown(because: string): Cell {
  return { text: `unknown, because ${because}`, style: 'yellow' };
}

function applicationLine({ app, by, at, because }: ApplicationEvidence): Line {
  if (app === undefined)
    return ['application', { text: `none, because ${because ?? 'no policy is about it'}`, style: 'yellow' }];
  const place = at === undefined ? '' : `, ${at.file}:${at.line}:${at.column}`;
  return ['application', { text: `${app}, by ${by ?? 'its name'}${place}`, style: 'green' }];
}

function socketLines(socket: SocketEvidence, nowMs: WallMs): readonly Line[] {
  const { state, inode, cookie, user, cgroup, mark, creator, holders } = socket;
  const name = cookie === undefined ? '' : `, sk:${cookie}`;
  return [
    ['socket', `${state}, inode ${inode}${name}, ${accountText(user)}`],
    ['its mark', known(mark, (evidence) => `${evidence.meaning} (${evidence.mark})`)],
    ['its cgroup', known(cgroup, ({ path }) => path)],
    ['made by', known(creator, (evidence) => creatorText(evidence, nowMs))],
    ['held by', known(holders, (list) => list.map(ancestorText).join(', '))],
  ];
}

/** On one line, for the process that has it. */
function socketText({ flow, state, mark, creator }: SocketEvidence, pid: number): Cell {
  const marked = isMissing(mark) ? '' : `; ${mark.meaning}`;
  const maker =
    isMissing(creator) || creator.pid === pid ? '' : `; made by process ${creator.pid} (${creator.command})`;
  return `${flow} ${state}${marked}${maker}`;
}

function creatorText(
  { pid, startedMs, isRunning, runsNow, command, executable, user, program, isBroker }: CreatorEvidence,
  nowMs: WallMs,
): Cell {
  const process = pid === 0 ? 'a process of another pid namespace' : `process ${pid}`;
  const parts = [
    `${process} "${command}"`,
    isMissing(executable) ? executable.because : executable.path,
    accountText(user),
    ...(startedMs === undefined ? [] : [`started ${ago(startedMs, nowMs)}`]),
    ...(pid !== 0 && !isRunning ? ['has ended'] : []),
    ...(runsNow === undefined ? [] : [`runs another program now (${runsNow})`]),
    ...(program === undefined ? [] : [`as ${program.meaning}`]),
    ...(isBroker ? ['opens sockets for others'] : []),
  ];
  return parts.join(', ');
}

function ownerLines(
  { found, process, application }: OwnerEvidence,
  number: number | undefined,
  nowMs: WallMs,
): readonly Line[] {
  const nth = number === undefined ? '' : ` ${number}`;
  return [
    [`owner${nth}`, found],
    ...(isMissing(process)
      ? [['process', unknown(process.because)] as const]
      : [['process', `${process.pid}`] as const, ...processLines(process, nowMs)]),
    applicationLine(application),
  ];
}

function processLines(process: ProcessEvidence, nowMs: WallMs): readonly Line[] {
  const { executable, commandLine, script, childOf, parents, cgroup, scopes, user, group, program } = process;
  return [
    ['executable', known(executable, executableText)],
    ...(isMissing(executable) ? [] : [['package', known(executable.packages, packagesText)] as const]),
    ['command', commandLine.length === 0 ? unknown('it has none, or it cannot be read') : commandText(commandLine)],
    ...(script === undefined ? [] : [['script', `${script}, which a policy names`] as const]),
    ...(childOf === undefined ? [] : [['child of', `${childOf} (children: same)`] as const]),
    ['started', ago(process.startedMs, nowMs)],
    ['parents', parents.length === 0 ? 'none' : parents.map(ancestorText).join(' < ')],
    ['cgroup', known(cgroup, ({ path }) => path)],
    ...scopes.map((scope): Line => ['runs as', scope]),
    ['user', userText(user, group)],
    ['kernel', known(program, ({ meaning }) => `marks its new sockets as ${meaning}`)],
    ...(process.serves ?? []).map(({ namespace, processes, more }): Line => {
      const inside = processes.map(ancestorText).join(', ');
      const others = more > 0 ? `, and ${more} more` : '';
      return ['serves', `network namespace ${namespace}: ${inside === '' ? 'no process is in it' : inside}${others}`];
    }),
    ...(process.isElsewhere
      ? [['network', { text: 'of another namespace, which this daemon does not govern', style: 'yellow' }] as const]
      : []),
  ];
}

function executableText({ path, file, named, isDeleted }: ExecutableEvidence): Cell {
  const gone = isDeleted ? ' (removed or replaced since it started)' : '';
  switch (file) {
    case 'named':
      return `${path}${gone}, the file that a policy names${named === path ? '' : ` as ${named}`}`;
    case 'other':
      return { text: `${path}${gone}, but not the file of that name here, which a policy names`, style: 'yellow' };
    case 'not named':
      return `${path}${gone}, which no policy names`;
  }
}

function commandText(commandLine: readonly string[]): string {
  const whole = commandLine.map(quoted).join(' ');
  return whole.length <= MAX_COMMAND_LENGTH ? whole : `${whole.slice(0, MAX_COMMAND_LENGTH)} ...`;
}

/** So that an argument with a blank is told from two. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./~-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}

function packagesText(names: readonly string[]): string {
  return names.length === 0 ? 'no Debian package has it' : names.join(', ');
}

function ancestorText({ pid, executable }: AncestorEvidence): string {
  return executable === undefined ? `${pid}` : `${pid} ${executable}`;
}

function accountText({ id, name }: AccountEvidence): string {
  return name === undefined ? `uid ${id}` : `${name} (uid ${id})`;
}

function userText(user: Evidence<AccountEvidence>, group: Evidence<AccountEvidence>): Cell {
  if (isMissing(user)) return unknown(user.because);
  if (isMissing(group)) return accountText(user);
  return `${accountText(user)}, group ${group.name === undefined ? `gid ${group.id}` : `${group.name} (gid ${group.id})`}`;
}

function ago(timeMs: number, nowMs: WallMs): string {
  return `${formatDuration(Math.max(0, nowMs - timeMs))} ago`;
}
