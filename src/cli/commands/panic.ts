import { setTimeout as delay } from 'node:timers/promises';
import { Argument, Command } from 'commander';
import type { Kernel } from '../../kernel/kernel.ts';
import { CliError } from '../cli-error.ts';
import { type DaemonClient, NoAnswer, openClient } from '../client.ts';
import { addExamples, type CliContext, socketPathOf, terminalOf } from '../context.ts';
import { EXIT } from '../exit-code.ts';

const POLL_MS = 50;
/** In an emergency nobody waits for a daemon that hangs. */
const DAEMON_TIMEOUT_MS = 5000;

type Panic = 'open' | 'closed' | 'off';

const DONE: Readonly<Record<Panic, string>> = {
  open: `Open: everything of pointsman is out of the kernel; every program connects as if it were not installed.
Undo: sudo pointsman up
`,
  closed: `Closed: nothing gets in, out or through but loopback and what keeps the link alive; ssh sessions stand still.
Undo: sudo pointsman panic off
`,
  off: `The panic table is gone; what was in force beneath it holds again.
`,
};

const WAS_OFF = '"panic closed" was not in force: nothing is changed.\n';

export function panicCommand(context: CliContext): Command {
  const command = new Command('panic')
    .description('the emergency brake; works without the daemon')
    .addArgument(
      new Argument('<what>', 'open: let everything pass; closed: let nothing pass; off: end "closed"').choices([
        'open',
        'closed',
        'off',
      ]),
    )
    .action(async (what: Panic) => {
      const terminal = terminalOf(context, command);
      if (process.geteuid?.() !== 0) {
        throw new CliError(EXIT.notPermitted, 'only root may change what passes', {
          hint: `sudo pointsman panic ${what}`,
        });
      }
      const { LinuxKernel } = await import('../../kernel/linux-kernel.ts');
      const kernel = LinuxKernel.open();
      try {
        const client = openClient(socketPathOf(command), { timeoutMs: DAEMON_TIMEOUT_MS, silentMs: DAEMON_TIMEOUT_MS });
        const { silent, wasOff } = await act(what, kernel, client);
        if (silent !== undefined) terminal.err(goesOn(silent));
        terminal.out(wasOff ? WAS_OFF : DONE[what]);
      } finally {
        kernel[Symbol.dispose]();
      }
    });
  return addExamples(command, [
    ['sudo pointsman panic open', 'take everything out of force, also after a crash'],
    ['sudo pointsman panic closed', 'cut the machine off; ssh too'],
    ['sudo pointsman panic off', 'end "closed"'],
  ]);
}

/** It puts back what it wants to be there as soon as it can. */
function goesOn({ daemon: { pid, stopped } }: NoAnswer): string {
  const is = stopped ? 'is stopped' : 'does not answer';
  return `warning: the daemon ${is} and could not be told; when it goes on it puts its rules back. End it: sudo kill -KILL ${pid ?? 'PID'}\n`;
}

interface Acted {
  /** A daemon that could not be told to stop, and lives. */
  readonly silent?: NoAnswer | undefined;
  /** There was nothing to end. */
  readonly wasOff?: boolean;
}

async function act(what: Panic, kernel: Kernel, daemon: DaemonClient): Promise<Acted> {
  const { panicClosed, panicOff, panicOpen } = await import('../../apply/panic.ts');
  switch (what) {
    case 'open': {
      const silent = await stopDaemon(daemon);
      await panicOpen(kernel);
      return { silent };
    }
    case 'closed':
      await panicClosed(kernel);
      return {};
    case 'off':
      return { wasOff: !(await panicOff(kernel)) };
  }
}

/** A daemon that still runs would repair what is removed, and two who remove at once get in each other's way. */
async function stopDaemon(daemon: DaemonClient): Promise<NoAnswer | undefined> {
  try {
    await daemon.post('/v1/stop');
    const deadlineMs = performance.now() + DAEMON_TIMEOUT_MS;
    while (performance.now() < deadlineMs) {
      await daemon.get('/v1/health');
      await delay(POLL_MS);
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return error instanceof NoAnswer ? error : undefined;
  }
}
