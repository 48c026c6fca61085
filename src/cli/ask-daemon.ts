import { type AbsentDaemon, describeAbsentDaemon, observeAbsentDaemon } from './absent-daemon.ts';
import { CliError } from './cli-error.ts';
import { NoAnswer } from './client.ts';
import { EXIT } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

/** `there`: it runs, and what it has to decide waits for it, although it does not answer or may not be asked. */
export type DaemonPresence = 'there' | 'away';

/** The daemon's answer; without a daemon, or without permission to ask it, the answer that the files give. */
export async function askDaemonOr<T>(
  terminal: Terminal,
  socketPath: string,
  ask: () => Promise<T>,
  offline: (daemon: DaemonPresence) => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    switch (error.exitCode) {
      case EXIT.notRunning: {
        const { daemon, message } = await absence(socketPath, error);
        terminal.err(`note: ${message}; this is computed from the files and what can be read of the host\n`);
        return await offline(daemon);
      }
      case EXIT.notPermitted:
        terminal.err(
          'note: you may not ask the daemon; this is computed from the files and what can be read of the host\n',
        );
        return await offline('there');
      default:
        throw error;
    }
  }
}

async function absence(
  socketPath: string,
  error: CliError,
): Promise<{ readonly daemon: DaemonPresence; readonly message: string }> {
  if (error instanceof NoAnswer) return { daemon: 'there', message: `${error.message} (${error.hint})` };
  const absent = await observeAbsentDaemon(socketPath);
  return { daemon: presence(absent), message: describeAbsentDaemon(absent).message };
}

function presence({ kind }: AbsentDaemon): DaemonPresence {
  switch (kind) {
    case 'starting':
    case 'socket gone':
    case 'not answering':
      return 'there';
    case 'rules left':
    case 'before first start':
    case 'panic':
    case 'none':
    case 'none seen':
      return 'away';
  }
}
