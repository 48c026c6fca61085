import { Command } from 'commander';
import type { WatchEvent } from '../../api/event.ts';
import type { Status } from '../../api/status.ts';
import { printableJson } from '../../net/printable.ts';
import { CliError } from '../cli-error.ts';
import type { DaemonClient } from '../client.ts';
import { addExamples, type CliContext, clientOf, terminalOf } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { type JsonOption, jsonOption } from '../options.ts';
import { painter } from '../paint.ts';
import { panicLine } from '../panic-line.ts';
import { localTimeOfDay, renderEvent } from '../render-event.ts';

export function watchCommand(context: CliContext): Command {
  const command = new Command('watch')
    .description('show connections as they are decided, with the reason for each, until Ctrl-C')
    .addOption(jsonOption())
    .action(async ({ json }: JsonOption) => {
      const terminal = terminalOf(context, command);
      const interrupted = context.interrupted();
      const options = { paint: painter(terminal.outColour), timeOfDay: localTimeOfDay };
      const show = (line: string): void =>
        terminal.data(json ? `${printableJson(line)}\n` : `${renderEvent(JSON.parse(line) as WatchEvent, options)}\n`);
      const client = clientOf(command);
      // Its beginning may be long past: no event tells of it.
      if (await isPanicClosed(client)) terminal.err(panicLine({ panicClosed: true }, painter(terminal.errColour)));
      await client.lines('/v1/watch', show, interrupted);
      if (interrupted.aborted) return;
      // Who could not be told, because he did not read, finds it out by asking.
      await client.get('/v1/health').catch(() => {
        throw new CliError(EXIT.notRunning, 'the daemon has stopped');
      });
      throw new CliError(EXIT.failed, 'the daemon has ended this watch: it was not read, or others need the place', {
        hint: 'sudo pointsman watch',
      });
    });
  return addExamples(command, [
    ['sudo pointsman watch', 'every decision, live'],
    ['sudo pointsman watch --json | jq -r .app', 'one JSON object a line'],
  ]);
}

async function isPanicClosed(client: Pick<DaemonClient, 'get'>): Promise<boolean> {
  try {
    return (await client.get<Status>('/v1/status')).warnings.some(({ code }) => code === 'panic-closed');
  } catch (error) {
    // Ignoring it: what cannot be told at this moment, as while it starts, keeps nobody from events.
    if (error instanceof CliError && error.exitCode === EXIT.failed) return false;
    throw error;
  }
}
