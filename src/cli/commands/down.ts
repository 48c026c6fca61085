import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Command } from 'commander';
import type { Status } from '../../api/status.ts';
import { PANIC_TABLE, QUEUE_NUMBER, TABLE } from '../../plan/reserved.ts';
import { describeAbsentDaemon, observeAbsentDaemon } from '../absent-daemon.ts';
import { CliError } from '../cli-error.ts';
import { type DaemonClient, isNotRunning } from '../client.ts';
import { addExamples, type CliContext, clientOf, socketPathOf, terminalOf } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { withProgress } from '../progress.ts';
import { untilGone } from '../until-gone.ts';

const STUCK = 'see "pointsman status"; "sudo pointsman panic open" removes the rules without the daemon';

export function downCommand(context: CliContext): Command {
  const command = new Command('down')
    .description('stop the daemon and remove everything it put into the kernel')
    .action(async () => {
      const terminal = terminalOf(context, command);
      const client = clientOf(command);
      const found = await findOrCleanUp(client, socketPathOf(command));
      if (typeof found === 'string') {
        terminal.out(`${WITHOUT_DAEMON[found]}\n${await stillClosed()}`);
        return;
      }
      const { pid } = found;
      await client.post('/v1/stop');
      await withProgress(terminal, `waiting for process ${pid} to clean up`, untilGone(client, STUCK));
      const closed = await stillClosed();
      terminal.out(
        `The daemon has stopped; ${closed === '' ? 'nothing' : 'nothing else'} of pointsman is left in the kernel.\n`,
      );
      terminal.out(closed);
    });
  return addExamples(command, [
    ['sudo pointsman down', 'stop, also after a crash; every program connects as it did before'],
  ]);
}

/** Only the person who closed everything opens it again. */
async function stillClosed(): Promise<string> {
  if (process.geteuid?.() !== 0) return '';
  const { LinuxKernel } = await import('../../kernel/linux-kernel.ts');
  using kernel = LinuxKernel.open();
  if ((await kernel.nft.observe(PANIC_TABLE)) === undefined) return '';
  return '"panic closed" is still in force: nothing gets in, out or through. End it: sudo pointsman panic off\n';
}

const WITHOUT_DAEMON = {
  removed: 'No daemon was running; what a killed one had left in the kernel is removed.',
  // As it was wanted: no failure, and no reason to start one.
  nothing: 'No daemon is running, and nothing of pointsman is in the kernel.',
} as const;

/** The daemon, or what there was without one. Rejects where it cannot be told, or more is in force. */
async function findOrCleanUp(
  client: DaemonClient,
  socketPath: string,
): Promise<{ readonly pid: number } | keyof typeof WITHOUT_DAEMON> {
  try {
    return { pid: (await client.get<Status>('/v1/status')).pid };
  } catch (error) {
    const mayCleanUp = isNotRunning(error) && process.geteuid?.() === 0;
    if (!mayCleanUp || isQueueServed()) throw error;
    const { LinuxKernel } = await import('../../kernel/linux-kernel.ts');
    using kernel = LinuxKernel.open();
    const isLeft =
      kernel.routing.ownRules().length > 0 ||
      (await kernel.nft.observe(TABLE)) !== undefined ||
      kernel.keptPrograms.areHere();
    if (!isLeft) {
      const absent = await observeAbsentDaemon(socketPath);
      if (absent.kind === 'none') return 'nothing';
      const { message, hint } = describeAbsentDaemon(absent);
      throw new CliError(EXIT.notRunning, message, { hint, cause: error });
    }
    const { removeEverything } = await import('../../apply/cleanup.ts');
    const { forgetRuleset } = await import('../../store/kept-ruleset.ts');
    await removeEverything(kernel);
    forgetRuleset(dirname(socketPath));
    return 'removed';
  }
}

/** By a daemon with another root in the same network namespace: what there is belongs to it. */
function isQueueServed(): boolean {
  try {
    const served = readFileSync('/proc/net/netfilter/nfnetlink_queue', 'utf8').split('\n');
    return served.some((line) => line.trim().split(/\s+/)[0] === String(QUEUE_NUMBER));
  } catch {
    // Ignoring it: without the file the kernel has no queues at all.
    return false;
  }
}
