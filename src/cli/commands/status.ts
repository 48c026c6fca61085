import { Command } from 'commander';
import type { Status } from '../../api/status.ts';
import { systemClock } from '../../kernel/system-clock.ts';
import { describeAbsentDaemon, observeAbsentDaemon } from '../absent-daemon.ts';
import { CliError } from '../cli-error.ts';
import { isNotRunning, NoAnswer } from '../client.ts';
import { addExamples, type CliContext, clientOf, socketPathOf, terminalOf, writeJson } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { type JsonOption, jsonOption } from '../options.ts';
import { withProgress } from '../progress.ts';
import { renderStatus } from '../render-status.ts';
import type { Terminal } from '../terminal.ts';

export function statusCommand(context: CliContext): Command {
  const command = new Command('status')
    .description('how things stand: state, uplinks, applications, warnings, mistakes in files')
    .addOption(jsonOption())
    .action(async ({ json }: JsonOption) => {
      const terminal = terminalOf(context, command);
      const answer = clientOf(command).get<Status>('/v1/status');
      const status = await withProgress(terminal, 'waiting for the daemon', answer).catch(async (error: unknown) => {
        throw await whyNoStatus(error, socketPathOf(command), json === true ? terminal : undefined);
      });
      if (json) writeJson(terminal, status);
      else terminal.out(renderStatus(status, { colour: terminal.outColour, nowMs: systemClock.wallMs() }));
      if (status.state === 'degraded' || status.state === 'blocked') context.exit(EXIT.degraded);
    });
  return addExamples(command, [
    ['sudo pointsman status', 'for people'],
    ['sudo pointsman status --json', 'for scripts'],
  ]);
}

/** What holds where nobody says how things stand. `json`: where that is written to as well. */
async function whyNoStatus(error: unknown, socketPath: string, json: Terminal | undefined): Promise<unknown> {
  const isSilent = error instanceof NoAnswer;
  if (!isSilent && !isNotRunning(error)) return error;
  const absent = isSilent ? error.daemon : await observeAbsentDaemon(socketPath);
  const { message, hint } = describeAbsentDaemon(absent);
  if (json !== undefined) writeJson(json, { state: 'absent', daemon: absent, message, hint });
  return new CliError(EXIT.notRunning, message, { hint, cause: error });
}
