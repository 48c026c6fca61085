import { describeAbsentDaemon, observeAbsentDaemon } from './absent-daemon.ts';
import { CliError } from './cli-error.ts';
import { NoAnswer } from './client.ts';
import { EXIT } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

/** The daemon's answer; without a daemon, or without permission to ask it, the answer that the files give. */
export async function askDaemonOr<T>(
  terminal: Terminal,
  socketPath: string,
  ask: () => Promise<T>,
  offline: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    switch (error.exitCode) {
      case EXIT.notRunning:
        terminal.err(
          `note: ${await absence(socketPath, error)}; this is computed from the files and what can be read of the host\n`,
        );
        break;
      case EXIT.notPermitted:
        terminal.err(
          'note: you may not ask the daemon; this is computed from the files and what can be read of the host\n',
        );
        break;
      default:
        throw error;
    }
    return await offline();
  }
}

async function absence(socketPath: string, error: CliError): Promise<string> {
  if (!(error instanceof NoAnswer)) return describeAbsentDaemon(await observeAbsentDaemon(socketPath)).message;
  return `${error.message} (${error.hint})`;
}
