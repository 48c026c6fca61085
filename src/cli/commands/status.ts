import { Command } from 'commander';
import type { Status } from '../../api/status.ts';
import { systemClock } from '../../kernel/system-clock.ts';
import { addExamples, type CliContext, clientOf, terminalOf, writeJson } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { type JsonOption, jsonOption } from '../options.ts';
import { withProgress } from '../progress.ts';
import { renderStatus } from '../render-status.ts';

export function statusCommand(context: CliContext): Command {
  const command = new Command('status')
    .description('how things stand: state, uplinks, applications, warnings, mistakes in files')
    .addOption(jsonOption())
    .action(async ({ json }: JsonOption) => {
      const terminal = terminalOf(context, command);
      const status = await withProgress(
        terminal,
        'waiting for the daemon',
        clientOf(command).get<Status>('/v1/status'),
      );
      if (json) writeJson(terminal, status);
      else terminal.out(renderStatus(status, { colour: terminal.outColour, nowMs: systemClock.wallMs() }));
      if (status.state === 'degraded' || status.state === 'blocked') context.exit(EXIT.degraded);
    });
  return addExamples(command, [
    ['sudo pointsman status', 'for people'],
    ['sudo pointsman status --json', 'for scripts'],
  ]);
}
