import { rmSync } from 'node:fs';

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Removes a directory should this process exit or be told to; returns what calls that off. */
export function cleanUpOnExit(dir: string): () => void {
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  const onSignal = (signal: NodeJS.Signals): void => {
    remove();
    stop();
    // Without our listener the signal does what it does without us, unless others listen too.
    process.kill(process.pid, signal);
  };
  // A worker whose test runner is gone would go on with what nobody waits for.
  const onDisconnect = (): void => process.exit(1);
  const stop = (): void => {
    process.off('exit', remove);
    process.off('disconnect', onDisconnect);
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  process.on('exit', remove);
  process.on('disconnect', onDisconnect);
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return stop;
}
