/** The first start of the verdict thread, with refusals as reasons for not starting. */
import { QUEUE_NUMBER } from '../plan/reserved.ts';
import { startErrorOf } from './preconditions.ts';
import { START_EXIT, StartError } from './start-error.ts';
import { VerdictKeeper, type VerdictKeeperOptions } from './verdict-keeper.ts';

export type StartVerdictsOptions = Omit<VerdictKeeperOptions, 'queueNumber'>;

/** Rejects with StartError. */
export async function startVerdicts(options: StartVerdictsOptions): Promise<VerdictKeeper> {
  try {
    return await VerdictKeeper.start({ ...options, queueNumber: QUEUE_NUMBER });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EBUSY') {
      const message = `another program answers queue ${QUEUE_NUMBER} in this network namespace`;
      throw new StartError('alreadyRunning', message, { cause: error });
    }
    const { exitCode, message } = startErrorOf(error, 'missing');
    const cause = exitCode === START_EXIT.notPermitted ? 'notPermitted' : 'missing';
    throw new StartError(cause, `the kernel's packet queue cannot be used (nfnetlink_queue): ${message}`, {
      cause: error,
    });
  }
}
