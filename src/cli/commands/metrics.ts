import { Command } from 'commander';
import type { MetricsReport } from '../../api/metrics.ts';
import { printableLines } from '../../net/printable.ts';
import { addExamples, type CliContext, clientOf, terminalOf, writeJson } from '../context.ts';
import { type JsonOption, jsonOption } from '../options.ts';

export function metricsCommand(context: CliContext): Command {
  const command = new Command('metrics')
    .description(
      'counters for monitoring, in the text format of Prometheus: connections and bytes by application and uplink',
    )
    .addOption(jsonOption())
    .action(async ({ json }: JsonOption) => {
      const terminal = terminalOf(context, command);
      const client = clientOf(command);
      if (json) writeJson(terminal, await client.get<MetricsReport>('/v1/metrics.json'));
      else terminal.data(printableLines(await client.text('/v1/metrics')));
    });
  return addExamples(command, [
    ['sudo pointsman metrics', 'all counters since the daemon started'],
    ['sudo pointsman metrics --json', 'the same samples, for scripts'],
    [
      'sudo pointsman metrics > $DIR/pointsman.prom.new && mv $DIR/pointsman.prom.new $DIR/pointsman.prom',
      'from a timer, for the textfile collector of node_exporter',
    ],
    [
      'sudo curl --unix-socket /run/pointsman/pointsman.sock http://pointsman/v1/metrics',
      'without pointsman’s own command',
    ],
  ]);
}
