import { Command, InvalidArgumentError, Option } from 'commander';
import type { ExplainQuery, ExplainWho, Explanation, OutboundQuestion } from '../../api/explanation.ts';
import type { PanicNote } from '../../api/panic.ts';
import { KERNEL_SENDERS, type KernelSender } from '../../policy/kernel-senders.ts';
import { askDaemonOr } from '../ask-daemon.ts';
import { CliError } from '../cli-error.ts';
import { type ConnectPeer, type OwnPort, type Parsed, parseConnectPeer, parseOwnPort } from '../connect-peer.ts';
import { type ConnectTarget, parseConnectTarget } from '../connect-target.ts';
import {
  addExamples,
  type CliContext,
  clientOf,
  offlineOptions,
  socketPathOf,
  terminalOf,
  writeJson,
} from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { programPath, whoIs } from '../named-program.ts';
import { type JsonOption, jsonOption } from '../options.ts';
import { painter } from '../paint.ts';
import { panicLine } from '../panic-line.ts';
import { withProgress } from '../progress.ts';
import { renderExplanation } from '../render-explanation.ts';

interface ExplainOptions extends JsonOption {
  readonly app?: string;
  readonly exe?: string;
  readonly pid?: number;
  readonly kernel?: KernelSender;
  readonly to?: ConnectTarget;
  readonly from?: ConnectPeer;
  readonly port?: OwnPort;
  readonly device?: string;
}

export function explainCommand(context: CliContext): Command {
  const command = new Command('explain')
    .description('what would happen to a connection, out or in, and why: file, line, rule, layers, uplinks')
    .argument('[who]', 'a program, by its path or as in a shell, a process number, or an application')
    .argument('[destination]', 'as with --to')
    .allowExcessArguments()
    .addOption(new Option('--app <id>', 'the application').conflicts(['exe', 'pid', 'kernel']))
    .addOption(new Option('--exe <path>', 'or a program').conflicts(['pid', 'kernel']))
    .addOption(new Option('--pid <number>', 'or a running process').argParser(pid).conflicts('kernel'))
    .addOption(
      new Option('--kernel <sender>', 'or what the kernel itself sends, as in a policy').choices(KERNEL_SENDERS),
    )
    .option('--to <destination>', 'it connects: HOST:PORT (TCP), HOST:PORT/udp or HOST/icmp; [IPv6]:PORT', target)
    .option('--from <peer>', 'or somebody connects to it: ADDRESS or ADDRESS:PORT; [IPv6]:PORT', peer)
    .option('--port <port>', 'with --from, to which port of this machine: PORT (TCP) or PORT/udp', ownPort)
    .option('--device <name>', 'the program chooses this network device itself, as with curl --interface', device)
    .addOption(jsonOption())
    .action(async (who: string | undefined, destination: string | undefined, { json, ...given }: ExplainOptions) => {
      const terminal = terminalOf(context, command);
      requireNoMore(command.args.slice(2), destination);
      const options = withWords(given, who, destination);
      const query: ExplainQuery = { ...(options.who ?? whoOf(options)), ...questionOf(options) };
      const answer = askDaemonOr(
        terminal,
        socketPathOf(command),
        () => clientOf(command).post<Explanation & PanicNote>('/v1/explain', query),
        async (daemon) =>
          (await import('../offline.ts')).explainOffline(offlineOptions(command, terminal), query, daemon),
      );
      const doing = 'from' in query ? 'looking at the policies' : 'looking up the destination';
      const explanation = await withProgress(terminal, doing, answer);
      if (json) writeJson(terminal, explanation);
      else
        terminal.out(
          panicLine(explanation, painter(terminal.outColour)) +
            renderExplanation(explanation, { colour: terminal.outColour }),
        );
    });
  return addExamples(command, [
    ['pointsman explain curl example.org:443', 'a program'],
    ['pointsman explain --exe /usr/bin/curl --to example.org:443', 'the same, for scripts'],
    ['pointsman explain --app org.example.Mail --to "[2001:db8::1]:993"', 'an application, IPv6'],
    ['sudo pointsman explain --pid 4711 --to 192.0.2.1:53/udp', 'a running process, UDP'],
    ['pointsman explain --exe /usr/bin/ping --to 192.0.2.1/icmp', 'ICMP'],
    ['pointsman explain --device wlan0 curl example.org:443', 'it is bound to a network device'],
    ['pointsman explain --kernel nfs --to 192.0.2.9:2049', 'what the kernel sends: a mounted file system, WireGuard'],
    ['pointsman explain --exe /usr/sbin/sshd --from 192.0.2.7:50000 --port 22', 'who may connect to it'],
    ['pointsman explain --app org.example.Phone --from 2001:db8::7 --port 5060/udp', 'the same for UDP'],
  ]);
}

/** Host and port are one word. Throws CliError. */
function requireNoMore(words: readonly string[], destination: string | undefined): void {
  const [first] = words;
  if (first === undefined) return;
  const hint = /^\d+$/.test(first) && words.length === 1 ? `write it so: ${destination}:${first}` : 'WHO and HOST:PORT';
  throw new CliError(EXIT.usage, `${words.join(' ')}: more than who connects, and where to`, { hint });
}

/** What is said without an option. Throws CliError. */
function withWords(
  options: ExplainOptions,
  who: string | undefined,
  destination: string | undefined,
): ExplainOptions & { readonly who?: ExplainWho } {
  if (who === undefined) return options;
  const { to, from } = options;
  const isTold = [options.app, options.exe, options.pid, options.kernel].some((told) => told !== undefined);
  // With --app and the like the only word is the destination.
  const where = isTold ? who : destination;
  if ((isTold && destination !== undefined) || (where !== undefined && (to !== undefined || from !== undefined))) {
    const hint = 'pointsman explain curl example.org:443';
    throw new CliError(EXIT.usage, 'who or where is said twice', { hint });
  }
  const asked = where === undefined ? undefined : parseConnectTarget(where);
  if (asked?.ok === false) {
    throw new CliError(EXIT.usage, `${where}: ${asked.message}`, { hint: 'HOST:PORT, HOST:PORT/udp or HOST/icmp' });
  }
  return { ...options, ...(!isTold && { who: whoIs(who) }), ...(asked !== undefined && { to: asked.value }) };
}

/** Throws CliError. */
function whoOf({ app, exe, pid, kernel, from, port }: ExplainOptions): ExplainWho {
  if (app !== undefined) return { app };
  if (exe !== undefined) return { exe: programPath(exe) };
  if (pid !== undefined) return { pid };
  if (kernel !== undefined) return { kernel };
  const isInbound = from !== undefined || port !== undefined;
  const question = isInbound ? 'who is connected to?' : 'who connects?';
  throw new CliError(EXIT.usage, question, { hint: 'give --app ID, --exe PATH, --pid NUMBER or --kernel SENDER' });
}

/** Throws CliError. */
function questionOf({ to, from, port, device: chosen }: ExplainOptions): OutboundQuestion | (ConnectPeer & OwnPort) {
  if (to !== undefined && from !== undefined) {
    const hint =
      'a connection goes out, --to HOST:PORT, or comes in, --from ADDRESS --port PORT: ask one after the other';
    throw new CliError(EXIT.usage, '--to and --from contradict each other', { hint });
  }
  if (to !== undefined) {
    if (port === undefined) return chosen === undefined ? to : { ...to, device: chosen };
    const hint = 'the port of the destination is part of --to; a port of this machine goes with --from';
    throw new CliError(EXIT.usage, '--port does not go with --to', { hint });
  }
  if (chosen !== undefined) {
    const hint = 'give --to HOST:PORT; what comes in is answered by the device that it came in by';
    throw new CliError(EXIT.usage, '--device is of a connection that goes out', { hint });
  }
  if (from !== undefined) {
    if (port !== undefined) return { ...from, ...port };
    throw new CliError(EXIT.usage, 'to which port of this machine?', { hint: 'give --port PORT or --port PORT/udp' });
  }
  if (port !== undefined) throw new CliError(EXIT.usage, 'who connects to that port?', { hint: 'give --from ADDRESS' });
  const hint = 'give --to HOST:PORT, or --from ADDRESS --port PORT for one that comes in';
  throw new CliError(EXIT.usage, 'which connection?', { hint });
}

/** IFNAMSIZ of linux/if.h, without its end. */
const MAX_DEVICE_LENGTH = 15;

function device(text: string): string {
  if (text === '' || text.length > MAX_DEVICE_LENGTH || /[\s/]/.test(text))
    throw new InvalidArgumentError('The name of a network device, as ip link shows it.');
  return text;
}

function pid(text: string): number {
  const number = Number(text);
  if (!/^\d{1,10}$/.test(text) || number === 0) throw new InvalidArgumentError('A process number, as ps shows it.');
  return number;
}

const target = (text: string): ConnectTarget => parsedValue(parseConnectTarget(text));
const peer = (text: string): ConnectPeer => parsedValue(parseConnectPeer(text));
const ownPort = (text: string): OwnPort => parsedValue(parseOwnPort(text));

function parsedValue<T>(result: Parsed<T>): T {
  if (!result.ok) throw new InvalidArgumentError(result.message);
  return result.value;
}
