import { Command } from 'commander';
import type { PanicNote } from '../../api/panic.ts';
import type { UplinksReport } from '../../api/uplinks.ts';
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
import { renderUplinks } from '../render-uplinks.ts';

export function uplinksCommand(context: CliContext): Command {
  const command = new Command('uplinks')
    .description('the ways out: state, properties and who says so, who uses each, and who does not and why')
    .addOption(jsonOption())
    .action(async ({ json }: JsonOption) => {
      const terminal = terminalOf(context, command);
      const report = await askDaemonOr(
        terminal,
        socketPathOf(command),
        () => clientOf(command).get<UplinksReport & PanicNote>('/v1/uplinks'),
        async () => (await import('../offline.ts')).uplinksOffline(offlineOptions(command, terminal)),
      );
      if (json) writeJson(terminal, report);
      else
        terminal.out(
          panicLine(report, painter(terminal.outColour)) + renderUplinks(report, { colour: terminal.outColour }),
        );
    });
  return addExamples(command, [
    ['sudo pointsman uplinks', 'all ways out'],
    ['sudo pointsman uplinks --json', 'for scripts'],
  ]);
}
