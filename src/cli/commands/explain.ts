import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { ExplainQuery, Explanation } from '../../api/explanation.ts';
import { askDaemonOr } from '../ask-daemon.ts';
import { CliError } from '../cli-error.ts';
import { type ConnectTarget, parseConnectTarget } from '../connect-target.ts';
import { addExamples, type CliContext, clientOf, offlineOptions, terminalOf, writeJson } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { type JsonOption, jsonOption } from '../options.ts';
import { withProgress } from '../progress.ts';
import { renderExplanation } from '../render-explanation.ts';

interface ExplainOptions extends JsonOption {
  readonly app?: string;
  readonly exe?: string;
  readonly pid?: number;
  readonly to: ConnectTarget;
}

export function explainCommand(context: CliContext): Command {
  const command = new Command('explain')
    .description('what would happen to a connection, and why: file, line, rule, layers, uplinks')
    .addOption(new Option('--app <id>', 'the application').conflicts(['exe', 'pid']))
    .addOption(new Option('--exe <path>', 'or a program').conflicts('pid'))
    .addOption(new Option('--pid <number>', 'or a running process').argParser(pid))
    .requiredOption('--to <destination>', 'HOST:PORT (TCP), HOST:PORT/udp or HOST/icmp; [IPv6]:PORT', target)
    .addOption(jsonOption())
    .action(async ({ json, to, app, exe, pid }: ExplainOptions) => {
      const terminal = terminalOf(context, command);
      if (app === undefined && exe === undefined && pid === undefined) {
        throw new CliError(EXIT.usage, 'who connects?', { hint: 'give --app ID, --exe PATH or --pid NUMBER' });
      }
      const who = app !== undefined ? { app } : exe !== undefined ? { exe: resolve(exe) } : { pid: pid ?? 0 };
      const query: ExplainQuery = { ...who, ...to };
      const answer = askDaemonOr(
        terminal,
        () => clientOf(command).post<Explanation>('/v1/explain', query),
        async () => (await import('../offline.ts')).explainOffline(offlineOptions(command, terminal), query),
      );
      const explanation = await withProgress(terminal, 'looking up the destination', answer);
      if (json) writeJson(terminal, explanation);
      else terminal.out(renderExplanation(explanation, { colour: terminal.outColour }));
    });
  return addExamples(command, [
    ['pointsman explain --exe /usr/bin/curl --to example.org:443', 'a program'],
    ['pointsman explain --app org.example.Mail --to "[2001:db8::1]:993"', 'an application, IPv6'],
    ['sudo pointsman explain --pid 4711 --to 192.0.2.1:53/udp', 'a running process, UDP'],
    ['pointsman explain --exe /usr/bin/ping --to 192.0.2.1/icmp', 'ICMP'],
  ]);
}

function pid(text: string): number {
  const number = Number(text);
  if (!/^\d{1,10}$/.test(text) || number === 0) throw new InvalidArgumentError('A process number, as ps shows it.');
  return number;
}

function target(text: string): ConnectTarget {
  const result = parseConnectTarget(text);
  if (!result.ok) throw new InvalidArgumentError(result.message);
  return result.value;
}
