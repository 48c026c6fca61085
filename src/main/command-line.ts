/** The program: hands the world to the command line, and its exit code back. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EXIT } from '../cli/exit-code.ts';
import { runProgram, UNEXPECTED_HINT } from '../cli/run-program.ts';
import { openTerminal } from '../cli/terminal.ts';
import { isShut, nodeCommand } from '../kernel/node-command.ts';
import { refusedVariables, startEnvironment } from '../kernel/start-environment.ts';
import { printable } from '../net/printable.ts';
import { refuseInspector } from './inspector.ts';

// The same from src/main and from dist/main.
const manifest = new URL('../../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string };

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // `pointsman watch | head`: whoever read has read enough.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

/** From now on Ctrl-C ends the command in order; a second one ends it at once. */
function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

function refusal(variables: readonly string[]): string {
  const are = variables.length === 1 ? 'is' : 'are';
  return (
    `error: ${variables.join(', ')} ${are} set, which can make the daemon load or open what is not its own\n` +
    `       hint: start ./pointsman, which takes ${variables.length === 1 ? 'it' : 'them'} away, or: env -u ${variables.join(' -u ')} ...`
  );
}

const OPEN_TO_SIGUSR1 =
  "error: Node was started so that any local user can open its inspector, and run code as root, in the daemon's first moments\n" +
  '       hint: start ./pointsman up, or node --inspect-port=0.0.0.1:9229 dist/main/pointsman.js up\n';

// What no command has caught: a mistake of ours. The daemon has a handler of its own (daemon/run.ts), and goes on.
const lastResort = (error: unknown): void => {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  process.stderr.write(`error: ${printable(text)}\n       hint: ${UNEXPECTED_HINT}\n`);
  if ((process.env.POINTSMAN_DEBUG ?? '') !== '' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exit(EXIT.failed);
};
process.on('uncaughtException', lastResort).on('unhandledRejection', lastResort);

const exitCode = await runProgram(process.argv.slice(2), {
  version,
  terminal: openTerminal(process.stdout, process.stderr, process.env),
  // The daemon and what it stands on cost each other command a tenth of a second.
  runDaemon: async (options) => {
    // SIGUSR1 may have come before there was a handler of ours.
    refuseInspector();
    const refused = refusedVariables(process.env);
    if (refused.length > 0) {
      process.stderr.write(`${refusal(refused)}\n`);
      return EXIT.usage;
    }
    // Nobody can be told to start it so: there would be a window each time.
    if (process.geteuid?.() === 0 && !isShut(process.execArgv)) {
      process.stderr.write(OPEN_TO_SIGUSR1);
      return EXIT.usage;
    }
    // Nor does a daemon end with its terminal, or with whoever reads its log.
    for (const stream of [process.stdout, process.stderr]) {
      stream.removeAllListeners('error');
      stream.on('error', () => undefined);
    }
    process.off('uncaughtException', lastResort).off('unhandledRejection', lastResort);
    (await import('./bound-memory.ts')).boundMemory();
    const environment = startEnvironment(process.env);
    // The C library's own look-ups are to miss the rest as well.
    for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
    // A plain copy: each look at the real one asks the C library, and the YAML parser looks at every token.
    process.env = environment;
    return (await import('../daemon/run.ts')).runDaemon(options);
  },
  selfCommand: nodeCommand(fileURLToPath(new URL('./pointsman.js', import.meta.url))),
  commandName: process.env.POINTSMAN_COMMAND ?? 'pointsman',
  interrupted,
  env: process.env,
});
// Writes to pipes and terminals are finished by now: on Linux they are synchronous.
process.exit(exitCode);
