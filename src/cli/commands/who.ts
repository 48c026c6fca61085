import { Argument, Command } from 'commander';
import { parseFlowQuery } from '../../api/flow-query.ts';
import type { PanicNote } from '../../api/panic.ts';
import type { WhoQuery, WhoReport } from '../../api/who.ts';
import { systemClock } from '../../kernel/system-clock.ts';
import { CliError } from '../cli-error.ts';
import { addExamples, type CliContext, clientOf, terminalOf, writeJson } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { type JsonOption, jsonOption } from '../options.ts';
import { painter } from '../paint.ts';
import { panicLine } from '../panic-line.ts';
import { withProgress } from '../progress.ts';
import { renderWho } from '../render-who.ts';

/** pid_t */
const MAX_PID = 0x7fffffff;

export function whoCommand(context: CliContext): Command {
  const command = new Command('who')
    .description('whose a process or a live connection is, with everything that says so')
    .addArgument(
      new Argument('<what...>', 'a process number, or a connection as watch and ss print it, or one end of it'),
    )
    .addOption(jsonOption())
    .action(async (words: readonly string[], { json }: JsonOption) => {
      const terminal = terminalOf(context, command);
      const asking = clientOf(command).post<WhoReport & PanicNote>('/v1/who', whoQuery(words));
      const report = await withProgress(terminal, 'looking at processes and sockets', asking);
      if (json) writeJson(terminal, report);
      else terminal.out(panicLine(report, painter(terminal.outColour)));
      if (!json) terminal.data(renderWho(report, { colour: terminal.outColour, nowMs: systemClock.wallMs() }));
    });
  return addExamples(command, [
    ['sudo pointsman who 4711', 'a process'],
    ['sudo pointsman who "tcp 10.0.0.1:4000 -> 192.0.2.1:443"', 'a connection; mind the quotes'],
    ['sudo pointsman who 10.0.0.1:4000 192.0.2.1:443', 'the same'],
    ['sudo pointsman who "[2001:db8::1]:443"', 'all connections to or from there'],
    ['sudo pointsman who :443 --json', 'all with this port, for scripts'],
  ]);
}

/** Throws CliError. */
export function whoQuery(words: readonly string[]): WhoQuery {
  const [word = '', ...others] = words;
  if (others.length === 0 && /^\d+$/.test(word)) {
    const pid = Number(word);
    if (pid >= 1 && pid <= MAX_PID) return { pid };
    throw new CliError(EXIT.usage, `${word} is not a process number`, { hint: `a port is :${word}` });
  }
  // `who A -> B` without quotes: the shell has taken the rest for the name of a file to write.
  if (words.at(-1) === '-') {
    const hint = 'for the shell, > begins the name of a file (look whether there is one now)';
    throw new CliError(EXIT.usage, 'put quotes around the connection, or leave the arrow out', { hint });
  }
  const flow = words.join(' ');
  const parsed = parseFlowQuery(flow);
  if (parsed.ok) return { flow };
  const isName = others.length === 0 && /^[a-z][\w.-]*$/i.test(word);
  if (isName) {
    // Applications are called so, and programs hardly ever.
    const asApp = word.includes('.') ? `; of an application: pointsman route ${word}` : '';
    const hint = `by its process number, which pointsman apps --all shows${asApp}`;
    throw new CliError(EXIT.usage, `"${word}" is neither a process number nor a connection`, { hint });
  }
  throw new CliError(EXIT.usage, parsed.message, { hint: parsed.hint });
}
