/** `apps` for people: one line for each application or program that runs. */
import type { AppsReport, RunningProgram, ToldBy } from '../api/apps.ts';
import { painter } from './paint.ts';
import { shortFiles } from './short-files.ts';
import { type Cell, renderTable } from './text-table.ts';

export interface AppsChoice {
  /** Also programs without a policy that have no internet socket open. */
  readonly all: boolean;
  /** Only programs without a policy. */
  readonly unmatched: boolean;
}

/** Pids shown on a line; `--json` has more. */
const MAX_PIDS_SHOWN = 4;

const TOLD_BY: Partial<Record<ToldBy, string>> = { exec: 'executable' };

/** The same report with what was asked for. */
export function choosePrograms(report: AppsReport, { all, unmatched }: AppsChoice): AppsReport {
  const programs = report.programs.filter(({ app, sockets }) => (app === undefined ? all || sockets > 0 : !unmatched));
  return { ...report, programs };
}

/** Ends with a newline. */
export function renderApps(
  report: AppsReport,
  options: AppsChoice & { readonly colour: boolean; readonly root: string },
): string {
  const paint = painter(options.colour);
  const { programs } = choosePrograms(report, options);
  const { shorten, note: noteOf } = shortFiles(options.root);
  const left = report.programs.filter((program) => program.app === undefined && !programs.includes(program)).length;
  const unmatched = programs.filter(({ app }) => app === undefined).length;
  const table =
    programs.length === 0
      ? [
          options.unmatched
            ? 'Every program with an internet socket has a policy.'
            : 'No program with a policy runs, and none has an internet socket open.',
        ]
      : renderTable(
          {
            head: ['APPLICATION', 'TOLD BY', 'PROCESSES', 'SOCKETS', 'FILES'],
            rows: programs.map((program) => cells(program, shorten)),
          },
          paint,
        );
  const notes = [
    ...noteOf(programs.flatMap(({ files }) => files)),
    ...(unmatched > 0 ? [`${count(unmatched, 'program')} without a policy: the system default holds.`] : []),
    ...(left > 0 ? [`${count(left, 'program')} without a policy and without an internet socket: see --all.`] : []),
    ...(report.elsewhere > 0
      ? [
          `${count(report.elsewhere, 'process', 'processes')} in other network namespaces, which this daemon does not govern.`,
        ]
      : []),
  ];
  return `${[...table, ...(notes.length === 0 ? [] : ['', ...notes])].join('\n')}\n`;
}

function cells(
  { app, executables, toldBy, processes, pids, sockets, files, note }: RunningProgram,
  shorten: (file: string) => string,
): readonly Cell[] {
  const shown = pids.slice(0, MAX_PIDS_SHOWN).join(' ');
  const rest = processes > MAX_PIDS_SHOWN ? ' ...' : '';
  const name: Cell = app ?? { text: executables[0] ?? '(not readable)', style: 'yellow' };
  return [
    name,
    app === undefined ? (note ?? 'no policy') : toldBy.map((kind) => TOLD_BY[kind] ?? kind).join(', '),
    `${processes} (${shown}${rest})`,
    `${sockets}`,
    files.map(shorten).join(' '),
  ];
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
