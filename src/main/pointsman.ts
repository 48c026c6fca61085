/** The program: hands the world to the command line, and its exit code back. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../cli/run-program.ts';
import { openTerminal } from '../cli/terminal.ts';

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

const exitCode = await runProgram(process.argv.slice(2), {
  version,
  terminal: openTerminal(process.stdout, process.stderr, process.env),
  // The daemon and what it stands on cost each other command a tenth of a second.
  runDaemon: async (options) => {
    (await import('./bound-memory.ts')).boundMemory();
    // A plain copy: each look at the real one asks the C library, and the YAML parser looks at every token.
    process.env = { ...process.env };
    return (await import('../daemon/run.ts')).runDaemon(options);
  },
  selfCommand: [process.execPath, fileURLToPath(import.meta.url)],
  commandName: process.env.POINTSMAN_COMMAND ?? 'pointsman',
  interrupted,
  env: process.env,
});
// Writes to pipes and terminals are finished by now: on Linux they are synchronous.
process.exit(exitCode);
