import { Argument, Command } from 'commander';
import type { PanicNote } from '../../api/panic.ts';
import type { RouteQuery, RouteReport } from '../../api/route.ts';
import { askDaemonOr } from '../ask-daemon.ts';
import {
  addExamples,
  type CliContext,
  clientOf,
  offlineOptions,
  socketPathOf,
  terminalOf,
  writeJson,
} from '../context.ts';
import { type JsonOption, jsonOption } from '../options.ts';
import { painter } from '../paint.ts';
import { panicLine } from '../panic-line.ts';
import { renderRoute } from '../render-route.ts';

/** pid_t */
const MAX_PID = 0x7fffffff;

export function routeCommand(context: CliContext): Command {
  const command = new Command('route')
    .description('by which way an application’s connections go now, rule by rule, and why')
    .addArgument(new Argument('<app-or-pid>', 'id of an application, or a process number'))
    .addOption(jsonOption())
    .action(async (who: string, { json }: JsonOption) => {
      const terminal = terminalOf(context, command);
      const query = routeQuery(who);
      const report = await askDaemonOr(
        terminal,
        socketPathOf(command),
        () => clientOf(command).post<RouteReport & PanicNote>('/v1/route', query),
        async () => (await import('../offline.ts')).routeOffline(offlineOptions(command, terminal), query),
      );
      if (json) writeJson(terminal, report);
      else
        terminal.out(
          panicLine(report, painter(terminal.outColour)) + renderRoute(report, { colour: terminal.outColour }),
        );
    });
  return addExamples(command, [
    ['sudo pointsman route org.example.Mail', 'an application'],
    ['sudo pointsman route 4711', 'a running process'],
    ['sudo pointsman route $(pgrep -o firefox) --json', 'for scripts'],
  ]);
}

/** A number is a process, although an application could have one for its id. */
export function routeQuery(who: string): RouteQuery {
  return /^[1-9]\d{0,9}$/.test(who) && Number(who) <= MAX_PID ? { pid: Number(who) } : { app: who };
}
